"""Captions of the figures that `ntklab.figures.training` draws."""

from ntklab.figures.captions import interval
from ntklab.figures.rows import need
from ntklab.figures.training import LOSS_ROOM
from ntklab.records import Record


def curves_caption(record: Record) -> str:
    """The caption of training curves: sizes, seeds, and how many runs are in the NTK regime.

    Args:
        record: of `ntklab pair` or `ntklab train`.

    Raises:
        InputError: if the record has no certificate.
    """
    need(record, "ntk_regime", "settings", command="ntklab pair")
    first, config = record.results[0], record.config
    seeds = len(config.get("seeds", [])) or len({row["seed"] for row in record.results})
    judged = [row for row in record.results if row["ntk_regime"] is not None]
    inside = sum(bool(row["ntk_regime"]) for row in judged)
    return (
        f"Training loss and test accuracy along the epochs, {first['task']}, N = "
        f"{first['samples']} samples, {first['loss']} loss, {first['optimizer']}, "
        f"{interval(seeds)} at the last step; losses above {LOSS_ROOM:g} times the start are cut "
        "off. "
        "Matched settings share optimizer and batch, each method at its best "
        "rate on validation images; released settings are those of the authors' scripts. NTK "
        f"regime: yes for {inside} of {len(judged)} runs."
    )
