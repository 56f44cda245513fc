"""The paper of a pack, and the questions that its report answers first."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A question that a reviewer asks: one sentence at the head of the report.

    Attributes:
        claim: "The claim that ...", as the subject of a sentence.
        lead: the claim that answers it.
        others: claims that the answer rests on, or that say the same elsewhere.
        also: a second claim of the sentence, which may come out otherwise: its words, its id.
    """

    claim: str
    lead: str
    others: tuple[str, ...] = ()
    also: tuple[str, str] | None = None

    @property
    def checks(self) -> tuple[str, ...]:
        """The ids of all claims of this topic, the leading one first."""
        also = self.also[1:] if self.also else ()
        return (self.lead, *also, *self.others)


@dataclass(frozen=True)
class Paper:
    """The paper whose claims a pack judges: `PAPER` in the pack's `__init__.py`.

    Attributes:
        title: of the paper, or of whatever makes the claims.
        source: where it can be read, e.g. "arXiv 2506.16456".
        about: one or two sentences for the head of the report.
        topics: the questions that the report answers first; none gives a report without them.

    Example:
        >>> Paper("A paper", source="arXiv 2506.16456").topics
        ()
    """

    title: str
    source: str = ""
    about: str = ""
    topics: tuple[Topic, ...] = ()
