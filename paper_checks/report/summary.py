"""The first page: ten sentences, each the verdict of its leading check and of those it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paper_checks.harness.claim import Finding, Verdict

_PHRASES = {
    Verdict.OK: "stands as stated",
    Verdict.MEND: "stands after a repair",
    Verdict.VACUOUS: "is true but says nothing",
    Verdict.FALSE: "does not stand",
    Verdict.REGIME: "depends on a condition that the paper does not state",
    Verdict.DATA: "is a matter of training runs",
}


@dataclass(frozen=True)
class Topic:
    """A question that a reviewer asks.

    Attributes:
        claim: "The claim that …", as the subject of a sentence.
        lead: the check that answers it.
        others: checks that the answer rests on, or that say the same elsewhere.
        also: a second claim of the sentence, which may come out otherwise, and its check.
    """

    claim: str
    lead: str
    others: tuple[str, ...] = ()
    also: tuple[str, str] | None = None

    @property
    def checks(self) -> tuple[str, ...]:
        """All checks of this topic."""
        also = self.also[1:] if self.also else ()
        return (self.lead, *also, *self.others)


#: Every check belongs to one topic; a test counts them.
TOPICS: tuple[Topic, ...] = (
    Topic(
        "The paper's formalism, its definitions and chain rules,",
        "eq12",
        ("eq01", "eq02", "eq03", "eq04", "eq06", "eq11", "eq17", "eq23", "eq25"),
    ),
    Topic(
        "The claim that TensorGuide's kernel has the larger smallest eigenvalue",
        "eq13",
        ("eq24", "eq27", "eq29"),
    ),
    Topic(
        "The claim that the tensor train's tangent map is injective and well conditioned",
        "eq28",
        ("eq26",),
    ),
    Topic(
        "The claim that training error falls as exp(−λ_min t)",
        "eq10",
        ("eq14", "eq16", "eq22"),
    ),
    Topic(
        "The bound by which the smallest eigenvalue is to control generalization",
        "eq21",
        ("eq15", "eq18", "eq19", "eq20"),
    ),
    Topic(
        "The bound by which width and TT-ranks are to control the approximation error",
        "eq09",
        ("eq05", "eq07", "eq08"),
    ),
    Topic(
        "The claim that TensorGuide classifies better than LoRA and TT-LoRA",
        "table1",
        ("fig4",),
    ),
    Topic(
        "The claim that a wider hidden layer makes it more expressive",
        "table2",
        ("fig5", "fig6"),
        also=("the claim that larger TT-ranks make it more accurate", "table5"),
    ),
    Topic(
        "The claim of lower perplexity than LoRA's at smaller budgets",
        "table3",
    ),
    Topic(
        "The claim that TensorGuide costs less than LoRA to run",
        "table4",
        ("algorithm1", "tera_rank", "tt_lora_compression", "tt_lora_latency"),
    ),
)


@dataclass(frozen=True)
class Sentence:
    """A topic, answered.

    Attributes:
        text: the sentence.
        verdicts: check → word, the leading one first; only checks that ran.
    """

    text: str
    verdicts: Mapping[str, str]


def sentences(findings: Mapping[str, Finding | None]) -> list[Sentence]:
    """One sentence a topic, from the findings; topics whose leading check did not run are left out.

    Example:
        >>> found = {"table3": Finding(Verdict.FALSE, "It was lower at 0 of 5 seeds.")}
        >>> print(sentences(found)[0].text)
        The claim of lower perplexity than LoRA's at smaller budgets does not stand: it was lower
        at 0 of 5 seeds.
    """
    return [
        Sentence(_text(topic, found, findings), _verdicts(topic.checks, findings))
        for topic in TOPICS
        if (found := findings.get(topic.lead)) is not None
    ]


def _text(topic: Topic, found: Finding, findings: Mapping[str, Finding | None]) -> str:
    parts = [_told(topic.claim, found)]
    if topic.also is not None and (second := findings.get(topic.also[1])) is not None:
        parts.append(_told(topic.also[0], second))
    return "; ".join(parts) + "."


def _told(claim: str, found: Finding) -> str:
    reason = found.brief or found.because.split(". ")[0].rstrip(".")
    return f"{claim} {_PHRASES[found.verdict]}: {_continued(reason)}"


def _continued(because: str) -> str:
    """A sentence after a colon begins small, unless its first word is a name or a symbol."""
    first = because.split(maxsplit=1)[0]
    return because[0].lower() + because[1:] if first in _ORDINARY else because


_ORDINARY = frozenset(
    (
        *("A", "All", "An", "And", "As", "At", "Both", "By", "Each", "Every", "For", "From", "In"),
        *("It", "Its", "No", "None", "Of", "On", "Only", "Over", "The", "Their", "There", "These"),
        *("They", "This", "Three", "Through", "Two", "Under", "With", "Without"),
    )
)


def _verdicts(checks: Sequence[str], findings: Mapping[str, Finding | None]) -> dict[str, str]:
    found = {name: findings.get(name) for name in checks}
    return {name: str(one.verdict) for name, one in found.items() if one is not None}
