"""Adapters counted before they are made: the same numbers as made ones."""

import pytest

from ntklab.adapters import METHODS
from ntklab.adapters.inject import adapters_in, inject
from ntklab.adapters.inject.describe import describe_injection
from ntklab.adapters.inject.skeleton import model_skeleton
from ntklab.errors import InputError


@pytest.mark.parametrize("method", sorted(METHODS))
def test_counts_are_those_of_the_injected_model(build, architecture, targets, method, sizes):
    model = build(architecture)
    options = {"target_modules": targets, "layers": "-2:", **sizes(method)}
    told = describe_injection(model, method, **options)
    assert all(p.requires_grad for p in model.parameters())
    inject(model, method, **options)
    made = adapters_in(model)
    assert told["parameters"] == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert [row["layer"] for row in told["layers"]] == list(made)
    counts = [row["parameters"] for row in told["layers"]]
    assert counts == [adapter.parameter_count for adapter in made.values()]
    frozen = {n: b for n, b in model.named_buffers() if ".core" in n or ".factors." in n}
    assert told["frozen"] == (sum(b.numel() for b in frozen.values()) if method == "tera" else 0)


def test_a_skeleton_has_the_model_s_layers_without_weights(build, architecture, tmp_path):
    model = build(architecture)
    model.save_pretrained(tmp_path)
    skeleton = model_skeleton(tmp_path)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    assert {name: p.shape for name, p in skeleton.named_parameters()} == shapes
    assert all(p.is_meta for p in skeleton.parameters())


def test_sentences(tmp_path):
    with pytest.raises(InputError, match=r"0 .gguf files"):
        model_skeleton(tmp_path)
    with pytest.raises(InputError, match="is no file"):
        model_skeleton(tmp_path / "absent.gguf")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no configuration that can be read"):
        model_skeleton(tmp_path)
