"""Whether LoRA is in the kernel regime, in worlds where it is and where it is not."""

from ntklab.claims import Verdict
from ntklab.experiments.training.panel import PANEL
from tests.paper_checks.test_prompt_claims import FULL, LORA, judged
from tests.prompt_worlds import world


def test_the_kernel_regime_on_both_sides(tmp_path):
    """It is that of the weights: a drift of LoRA's own kernel alone says nothing against it."""
    name, errors = "lora_rank/kernel_regime", "weights_linearization_error"
    drifting = LORA | {"ntk_regime_sgd": False, "drift_sgd": 40.0}
    verdict, row = judged(name, tmp_path / "ok", world(PANEL, [drifting]))
    assert verdict is Verdict.OK
    assert (row["runs"], row["linear"], row["certified"]) == (10, 10, 0)
    assert row["median_drift_sgd"] == 40.0
    out = LORA | {f"{errors}_sgd": 0.4, f"{errors}_adam": 0.3}
    verdict, row = judged(name, tmp_path / "bad", world(PANEL, [out, FULL]))
    assert verdict is Verdict.FALSE
    assert row[f"median_{errors}_sgd"] == 0.4
    inside = LORA | {"variant": "lora-r16"}
    verdict, row = judged(name, tmp_path / "mix", world(PANEL, [out, inside]))
    assert verdict is Verdict.REGIME
    assert row["mended"] == "It holds of lora-r16 with SGD, lora-r16 with Adam."
    half = LORA | {f"{errors}_sgd": 0.4}
    verdict, row = judged(name, tmp_path / "half", world(PANEL, [half]))
    assert verdict is Verdict.REGIME
    assert row["mended"] == "It holds of lora-r8 with Adam."
    one = LORA | {
        f"{errors}_{word}": lambda seed: 0.4 if seed else 0.01 for word in ("sgd", "adam")
    }
    verdict, row = judged(name, tmp_path / "one", world(PANEL, [one]))
    assert (verdict, row["linear"]) == (Verdict.REGIME, 2)
    assert row["mended"] == "It holds of single runs."
    unknown = LORA | dict.fromkeys((f"{errors}_sgd", f"{errors}_adam"))
    assert judged(name, tmp_path / "data", world(PANEL, [unknown]))[0] is Verdict.DATA
    for error in (0.4, 0.01):  # Adam alone settles it neither way
        alone = LORA | {f"{errors}_sgd": None, f"{errors}_adam": error}
        verdict, row = judged(name, tmp_path / f"adam-{error}", world(PANEL, [alone]))
        assert (verdict, row["unmeasured"]) == (Verdict.DATA, "SGD")
