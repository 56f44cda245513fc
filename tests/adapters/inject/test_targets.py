"""Words for targets, slices of layers, and what is refused."""

import pytest
import torch
from torch import nn

from ntklab.adapters.inject import inject, select_targets
from ntklab.adapters.inject.targets import _positions
from ntklab.errors import InputError


def names(model, words, layers=None):
    return [target.name for target in select_targets(model, words, layers)]


def test_ends_and_whole_names(build):
    model = build("llama")
    queries = [f"model.layers.{k}.self_attn.q_proj" for k in range(3)]
    assert names(model, ["q_proj"]) == names(model, "q_proj") == queries
    assert names(model, ["self_attn.q_proj"]) == queries
    assert names(model, queries[1]) == [queries[1]]
    assert names(model, ["v_proj", "q_proj"])[:2] == [
        queries[0],
        "model.layers.0.self_attn.v_proj",
    ]


def test_regular_expressions_match_whole_names(build):
    model = build("llama")
    assert len(names(model, r".*\.self_attn\..*")) == 3 * 4
    assert len(names(model, r".*layers\.[01].*(q|v)_proj")) == 4


def test_all_linear_leaves_the_output_layer(build):
    assert len(names(build("llama"), "all-linear")) == 3 * 7
    assert len(names(build("gpt2"), "all-linear")) == 3 * 4


def test_conv1d_is_a_linear_layer_with_its_sizes(build):
    (target, *_) = select_targets(build("gpt2"), ["c_attn"])
    assert (target.in_features, target.out_features, target.index) == (8, 24, 0)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("-2:", [1, 2]),
        (":1", [0]),
        ("0,2", [0, 2]),
        ("-1", [2]),
        ("::2", [0, 2]),
        (1, [1]),
        (slice(1, 3), [1, 2]),
        ([0, -1], [0, 2]),
        (range(2), [0, 1]),
    ],
)
def test_layers(build, layers, expected):
    found = select_targets(build("llama"), ["q_proj"], layers)
    assert [target.index for target in found] == expected


@pytest.mark.parametrize("layers", ["-4:", "3", "0:4", [3], "2:1", "::0"])
def test_layers_out_of_range(build, layers):
    with pytest.raises(InputError, match="out of range: the model has 3 layers, 0 to 2"):
        names(build("llama"), ["q_proj"], layers)


def test_slices_agree_with_pythons():
    six = [0, 1, 2, 3, 4, 5]
    expected = {":": six, "1:": six[1:], "-3:-1": six[-3:-1], "::-1": six[::-1], "4:0:-2": [4, 2]}
    for text, positions in expected.items():
        assert list(_positions(text, 6)) == positions


SENTENCES = {
    "no such target": (lambda m: names(m, ["q_prj"]), "unknown target 'q_prj': did you mean"),
    "no match": (lambda m: names(m, "q.*z"), "unknown target"),
    "no expression": (lambda m: names(m, "q_proj("), "is no regular expression"),
    "nothing": (lambda m: names(m, []), "target_modules is empty"),
    "no linear layer": (
        lambda m: names(m, ["input_layernorm"]),
        "is LlamaRMSNorm, no linear layer",
    ),
    "embedding": (lambda m: names(m, ["embed_tokens"]), "is Embedding, no linear layer"),
    "no layers": (lambda m: names(m, ["q_proj"], "last"), "means no layers"),
    "outside of blocks": (lambda m: names(m, ["lm_head"], "0"), "no target stands in a numbered"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_sentences(build, case):
    attempt, sentence = SENTENCES[case]
    with pytest.raises(InputError, match=sentence) as caught:
        attempt(build("llama"))
    assert "\n" not in str(caught.value)


def test_quantized_weights(build):
    model = build("llama")
    layer = model.model.layers[0].self_attn.q_proj
    layer.weight = nn.Parameter(torch.zeros(8, 4, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(InputError, match=r"quantized weights \(torch.uint8 in Linear\)"):
        inject(model, "lora", target_modules=["q_proj"])


def test_layers_that_nobody_calls():
    model = nn.ModuleDict({"a": nn.MultiheadAttention(4, 2), "b": nn.Linear(4, 4)})
    with pytest.raises(InputError, match="stands in torch's MultiheadAttention"):
        names(model, ["out_proj"])
    assert names(model, "all-linear") == ["b"]


def test_a_lazy_layer_and_one_with_an_adapter():
    with pytest.raises(InputError, match="has no size yet"):
        names(nn.Sequential(nn.LazyLinear(3)), ["0"])
    model = inject(nn.Sequential(nn.Linear(4, 3)), "lora", target_modules=["0"], rank=2)
    with pytest.raises(InputError, match="holds an adapter already"):
        names(model, ["0"])
