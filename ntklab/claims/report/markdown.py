"""The report as Markdown: the same words and tables; formulas as `$$` blocks, no figures."""

from collections.abc import Iterable, Sequence
from typing import Any

from ntklab.claims.claim import Verdict
from ntklab.claims.report.page import Page, Report, Section
from ntklab.records import typeset
from ntklab.tables import in_markdown


def markdown_page(page: Page, code: str = ".") -> str:
    """The page of one pack as GitHub-flavoured Markdown.

    Args:
        page: what it says.
        code: what stands before `/PACK/CLAIM.py` in links to the claims' files.
    """
    blocks = [f"# {page.pack.paper.title}", *_head(page)]
    for section in page.sections:
        blocks += _section(page, section, code)
    return "\n\n".join(blocks) + "\n"


def markdown_index(report: Report) -> str:
    """The page that leads to the pages of all packs, as GitHub-flavoured Markdown."""
    rows = [
        [
            f"[{page.pack.name}]({page.pack.name}.md)",
            ", ".join(part for part in (page.pack.paper.title, page.pack.paper.source) if part),
            *(str(page.counts.get(word, "")) for word in report.words),
            f"{page.date}, {page.effort}",
        ]
        for page in report.pages
    ]
    table = _table(["pack", "paper", *report.words, "computed"], rows)
    return "\n\n".join(["# Claims of papers, computed", _legend(), table]) + "\n"


def _legend() -> str:
    return "Verdicts: " + "; ".join(f"**{word}** {word.meaning}" for word in Verdict) + "."


def _head(page: Page) -> Iterable[str]:
    paper = page.pack.paper
    about = ". ".join(part.rstrip(".") for part in (paper.source, paper.about) if part)
    if about:
        yield f"{about}."
    yield f"{page.origin} [All numbers]({page.pack.name}/record.json)."
    yield _legend()
    said = [
        f"{place}. {sentence.text} {_names(sentence.verdicts)}"
        for place, sentence in _numbered(page.summary)
    ]
    if said:
        yield "\n".join(said)
    yield "How many: " + ", ".join(f"{word} {n}" for word, n in page.counts.items()) + "."
    tried = any(section.on for section in page.sections)
    rows = [
        [
            f"[{section.check.claim.id}](#{section.check.claim.id})",
            section.check.claim.title,
            *([section.on, section.seeds] if tried else []),
            section.verdict,
        ]
        for section in page.sections
    ]
    headings = ["claim", "what it says", *(["tried on", "seeds"] if tried else []), "verdict"]
    yield _table(headings, rows)


def _section(page: Page, section: Section, code: str) -> Iterable[str]:
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
    if section.on_gpu:
        yield section.on_gpu
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
    name = page.pack.full_id(claim.id)
    yield f"[Code]({code}/{name}.py). Again: `ntklab check {name}`."


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return in_markdown(headings, [list(row) for row in rows]).rstrip("\n")


def _names(verdicts: Any) -> str:
    return "(" + ", ".join(f"[{name}](#{name}) {word}" for name, word in verdicts.items()) + ")"


def _numbered(items: Sequence[Any]) -> Iterable[tuple[int, Any]]:
    return enumerate(items, start=1)
