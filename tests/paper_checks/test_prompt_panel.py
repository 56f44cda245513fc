"""The panel as claims read it: its tables, its lists of methods, and many comparisons at once."""

import copy

import pytest
import torch

from ntklab.adapters.inject.peft import inject_peft
from ntklab.claims import Effort, Verdict, find_check
from ntklab.errors import InputError
from ntklab.experiments.training.panel import PANEL, Panel
from ntklab.experiments.training.prompt.config import PANEL as METHODS
from ntklab.records import Record
from paper_checks._equivalences import compared, no_worse_verdict, same_verdict, summarized
from paper_checks.tera.tera_accuracy import HIGH_RANK, VECTORS
from paper_checks.tt_lora.tt_lora_accuracy import TRAINS
from tests.prompt_worlds import world

# Scalings are vectors, whatever the rank of what they change.
SCALINGS = {*VECTORS, "peft:road"}
CHANGES = [m for m, _ in METHODS if m.startswith("peft:") and m not in SCALINGS]
LARGEST = max(sizes["rank"] for method, sizes in METHODS if method == "lora")


def test_one_pair_beyond_of_many_is_not_said_before_holm():
    """Fifty comparisons: one at p = 0.01 is what chance gives; one at 0.0001 is not."""

    def rows(p):
        values = {s: 0.8 + 0.01 * (s % 2) for s in range(5)}
        own = {"outcome": "undecided", "p": 0.5, "p_below": 0.5, "p_beyond": 0.5}
        made = [compared("a", "b", values, values) | own for _ in range(50)]
        made[7] |= {"outcome": "below", "p": 1.0, "p_below": 1.0, "p_beyond": p}
        return made

    enough = {"recorded_seeds": 5}
    assert same_verdict(enough | summarized(rows(0.01))) is Verdict.DATA
    assert same_verdict(enough | summarized(rows(1e-4))) is Verdict.FALSE
    assert no_worse_verdict(enough | summarized(rows(0.01))) is Verdict.DATA
    assert no_worse_verdict(enough | summarized(rows(1e-4))) is Verdict.FALSE


def test_methods_that_claims_name_are_in_the_panel():
    there = {method for method, _ in METHODS}
    assert {*HIGH_RANK, *VECTORS} <= there
    assert not {*HIGH_RANK} & {*VECTORS}
    assert {*TRAINS} <= there


def test_the_panel_leaves_out_variants_that_lack_a_seed():
    record = world(PANEL, [{}] * 3)
    record.results[0]["accuracy_adam"] = None
    panel = Panel.of(record)
    assert list(panel.table("accuracy_adam")) == ["v1", "v2"]
    assert list(panel.table("accuracy_sgd")) == ["v0", "v1", "v2"]


def test_a_run_that_never_gets_there_is_the_slowest():
    never = {"steps_to_loss_adam": None}
    panel = Panel.of(world(PANEL, [{}, never, never | {"train_loss_adam": None}]))
    speeds = panel.table("speed_adam")
    assert list(speeds) == ["v0", "v1"]
    assert speeds["v1"][0] < speeds["v0"][0] < 0


def test_rows_that_name_no_run_are_refused():
    with pytest.raises(InputError, match="names no variant or no seed"):
        Panel.of(Record("pair", {}, {}, [{"variant": "a"}]))
    with pytest.raises(InputError, match="has a at seed 0 twice"):
        Panel.of(Record("pair", {}, {}, [{"variant": "a", "seed": 0}] * 2))


def test_seeds_are_counted_as_they_are_in_the_record(tmp_path):
    check = find_check("kernel_view/kernel_view")[1]
    world(PANEL, [{}] * 3, seeds=4).write(tmp_path / PANEL)
    assert check.measure(Effort(records=tmp_path)).seeds == 4


@pytest.fixture(scope="module")
def attention():
    """One block as wide as the default model's: its v_proj maps 576 numbers to 192."""
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    pytest.importorskip("peft", reason="needs the extra hf")
    sizes = {"hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3}
    few = {"vocab_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **few))


@pytest.mark.parametrize("method", CHANGES)
def test_methods_of_high_rank_change_a_layer_by_more_than_four_times_lora_does(attention, method):
    """By a random step."""
    model = inject_peft(copy.deepcopy(attention), method, target_modules=["q_proj", "v_proj"])
    layer = next(part for name, part in model.named_modules() if name.endswith("v_proj"))
    units = torch.eye(576)
    with torch.no_grad():
        before = layer(units)
        for parameter in layer.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
        change = (layer(units) - before).double()
    rank = int(torch.linalg.matrix_rank(change, rtol=1e-5))
    assert (rank > 4 * LARGEST) == (method in HIGH_RANK)
