"""The report as Markdown: the same words and tables; formulas as `$$` blocks, no figures."""

from collections.abc import Iterable, Sequence
from typing import Any

from ntklab.records import typeset
from paper_checks.harness.claim import Verdict
from paper_checks.report.page import Page, Section


def markdown_report(page: Page) -> str:
    """The page as GitHub-flavoured Markdown."""
    blocks = ["# What the paper's claims came to", *_first_page(page)]
    for section in page.sections:
        blocks += _section(section)
    return "\n\n".join(blocks) + "\n"


def _first_page(page: Page) -> Iterable[str]:
    yield page.origin
    yield "Verdicts: " + "; ".join(f"**{word}** {word.meaning}" for word in Verdict) + "."
    said = [f"{place}. {one.text} {_names(one.verdicts)}" for place, one in _numbered(page.summary)]
    if said:
        yield "\n".join(said)
    yield "How many: " + ", ".join(f"{word} {n}" for word, n in page.counts.items()) + "."
    told = any(one.on for one in page.sections)
    rows = [
        [
            f"[{one.check.claim.id}](#{one.check.claim.id})",
            one.check.claim.title,
            *([one.on, one.seeds] if told else []),
            one.verdict,
        ]
        for one in page.sections
    ]
    tried = ["tried on", "seeds"] if told else []
    yield _table(["claim", "what it says", *tried, "verdict"], rows)


def _section(section: Section) -> Iterable[str]:
    claim, finding = section.check.claim, section.finding
    yield f"## {claim.id}"  # alone, so that its anchor is its name
    yield f"**{claim.title}: {section.verdict}.** {claim.words}"
    if claim.formula:
        yield f"$$\n{claim.formula}\n$$"
    if claim.assumptions:
        yield "Needs: " + "; ".join(claim.assumptions) + "."
    if section.tried:
        yield section.tried
    yield finding.because if finding else f"This check could not run: {section.failed}."
    if finding and finding.mended:
        yield f"**What holds:** {finding.mended}"
    if finding and finding.formula:
        yield f"$$\n{finding.formula}\n$$"
    if section.values:
        yield _table(["measured", ""], [[label, typeset(value)] for label, value in section.values])
    if section.table:
        yield _table(section.headings, [[typeset(cell) for cell in row] for row in section.table])
    if section.left_out:
        yield f"… and {section.left_out} rows more in the record."
    yield f"Again: `ntklab check {claim.id}`."


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(map(_cell, headings)) + " |", "|---" * len(headings) + "|"]
    lines += ["| " + " | ".join(_cell(str(cell)) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _names(verdicts: Any) -> str:
    return "(" + ", ".join(f"[{name}](#{name}) {word}" for name, word in verdicts.items()) + ")"


def _numbered(items: Sequence[Any]) -> Iterable[tuple[int, Any]]:
    return enumerate(items, start=1)
