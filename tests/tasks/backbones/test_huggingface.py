import sys

import pytest
import torch

from ntklab.errors import InputError, MissingExtraError
from ntklab.tasks.backbones import load_backbone, resnet18
from ntklab.tasks.features import extract, feature_hash

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 16,
}


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers")


def images():
    return torch.randn(3, 1, 50, 50, generator=torch.Generator().manual_seed(0))


def shown():
    """What a model of three channels and 32 pixels sees of the images."""
    wide = images().expand(-1, 3, -1, -1)
    return torch.nn.functional.interpolate(wide, (32, 32), mode="bilinear", antialias=True)


def test_a_vision_transformer_gives_its_pooled_output(transformers, tmp_path):
    model = transformers.ViTModel(transformers.ViTConfig(**SMALL)).eval()
    model.save_pretrained(tmp_path)
    backbone = load_backbone(f"hf:{tmp_path}")
    assert not any(p.requires_grad for p in backbone.parameters())
    with torch.no_grad():
        expected = model(pixel_values=shown()).pooler_output
    torch.testing.assert_close(extract(backbone, images(), batch_size=2), expected)


def test_a_checkpoint_without_pooler_gives_the_mean_over_tokens_reproducibly(
    transformers, tmp_path
):
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL)).eval()
    model.save_pretrained(tmp_path)
    one, two = (load_backbone(f"hf:{tmp_path}") for _ in range(2))
    with torch.no_grad():
        expected = model.vit(pixel_values=shown()).last_hidden_state.mean(1)
    torch.testing.assert_close(extract(one, images()), expected)
    assert feature_hash(one, images()) == feature_hash(two, images())


def test_a_convolutional_model_takes_images_of_their_own_size(transformers, tmp_path):
    config = transformers.ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic"
    )
    model = transformers.ResNetModel(config).eval()
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = model(pixel_values=images()).pooler_output.flatten(1)
    features = extract(load_backbone(f"hf:{tmp_path}"), images())
    assert features.shape == (3, 12)
    torch.testing.assert_close(features, expected)


def test_a_text_and_image_model_gives_its_vision_tower(transformers, tmp_path):
    text = {**SMALL, "vocab_size": 50}
    text = {k: v for k, v in text.items() if k not in ("image_size", "patch_size")}
    config = transformers.CLIPConfig(text_config=text, vision_config=SMALL)
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = model.vision_model(pixel_values=shown()).pooler_output
    torch.testing.assert_close(extract(load_backbone(f"hf:{tmp_path}"), images()), expected)


def test_a_text_model_is_refused(transformers, tmp_path):
    config = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=11, n_positions=8)
    transformers.GPT2Model(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="does not take images"):
        load_backbone(f"hf:{tmp_path}")


def test_a_model_that_lacks_weights_is_refused(transformers, tmp_path):
    model = transformers.ViTModel(transformers.ViTConfig(**SMALL))
    state = {k: v for k, v in model.state_dict().items() if "patch_embeddings" not in k}
    model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(InputError, match=r"lack 2 weights, the first .*patch_embeddings"):
        load_backbone(f"hf:{tmp_path}")


def test_a_folder_without_a_model_is_refused_in_one_sentence(transformers, tmp_path):
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        load_backbone(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"hf:some/model.*ntklab\[hf\]"):
        load_backbone("hf:some/model")


def test_load_backbone_passes_weights_and_seed_on(tmp_path):
    torch.save(resnet18(seed=5).state_dict(), tmp_path / "w.pt")
    drawn, loaded = load_backbone("resnet18", None, 5), load_backbone("resnet18", tmp_path / "w.pt")
    assert torch.equal(drawn.conv1.weight, loaded.conv1.weight)


def test_unknown_names_and_needless_weights_are_refused(tmp_path):
    with pytest.raises(InputError, match="unknown backbone 'resnet50': did you mean 'resnet18'"):
        load_backbone("resnet50")
    with pytest.raises(InputError, match="brings its own weights"):
        load_backbone("hf:some/model", tmp_path / "w.pt")
