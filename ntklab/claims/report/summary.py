"""The head of a page: a sentence a topic, the verdict of its leading claim and of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ntklab.claims.claim import Finding, Verdict
from ntklab.claims.paper import Topic

_PHRASES = {
    Verdict.OK: "stands as stated",
    Verdict.MEND: "stands after a repair",
    Verdict.VACUOUS: "is true but says nothing",
    Verdict.FALSE: "does not stand",
    Verdict.REGIME: "depends on a condition that the paper does not state",
    Verdict.DATA: "is a matter of training runs",
}


@dataclass(frozen=True)
class Sentence:
    """A topic, answered.

    Attributes:
        text: the sentence.
        verdicts: check → word, the leading one first; only checks that ran.
    """

    text: str
    verdicts: Mapping[str, str]


def sentences(findings: Mapping[str, Finding | None], topics: Sequence[Topic]) -> list[Sentence]:
    """One sentence a topic, from the findings; topics whose leading check did not run are left out.

    Example:
        >>> topic = Topic("The claim of lower perplexity than LoRA's at smaller budgets", "table3")
        >>> findings = {"table3": Finding(Verdict.FALSE, "It was lower at 0 of 5 seeds.")}
        >>> print(sentences(findings, [topic])[0].text)
        The claim of lower perplexity than LoRA's at smaller budgets does not stand: it was lower
        at 0 of 5 seeds.
    """
    return [
        Sentence(_text(topic, finding, findings), _verdicts(topic.checks, findings))
        for topic in topics
        if (finding := findings.get(topic.lead)) is not None
    ]


def _text(topic: Topic, finding: Finding, findings: Mapping[str, Finding | None]) -> str:
    parts = [_answer(topic.claim, finding)]
    if topic.also is not None and (second := findings.get(topic.also[1])) is not None:
        parts.append(_answer(topic.also[0], second))
    return "; ".join(parts) + "."


def _answer(claim: str, finding: Finding) -> str:
    reason = finding.brief or finding.because.split(". ")[0].rstrip(".")
    return f"{claim} {_PHRASES[finding.verdict]}: {_continued(reason)}"


def _continued(because: str) -> str:
    """A sentence after a colon begins small, unless its first word is a name or a symbol."""
    first = because.split(maxsplit=1)[0]
    return because[0].lower() + because[1:] if first in _ORDINARY else because


_ORDINARY = frozenset(
    (
        *("A", "All", "An", "And", "As", "At", "Both", "By", "Each", "Every", "For", "From", "In"),
        *("It", "Its", "No", "None", "Of", "On", "Only", "Over", "The", "Their", "There", "These"),
        *("They", "This", "Three", "Through", "Two", "Under", "Unmerged", "With"),
        *("Without",),
    )
)


def _verdicts(checks: Sequence[str], findings: Mapping[str, Finding | None]) -> dict[str, str]:
    chosen = {name: findings.get(name) for name in checks}
    return {name: str(finding.verdict) for name, finding in chosen.items() if finding}
