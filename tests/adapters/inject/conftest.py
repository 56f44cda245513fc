"""Tiny random models of the architectures that people adapt, in float64."""

import pytest
import torch


def gpt2(transformers):
    config = transformers.GPT2Config(
        vocab_size=23, n_embd=8, n_layer=3, n_head=2, n_positions=16, initializer_range=0.3
    )
    return transformers.GPT2LMHeadModel(config)


def llama(transformers):
    config = transformers.LlamaConfig(
        vocab_size=23,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    return transformers.LlamaForCausalLM(config)


def bert(transformers):
    config = transformers.BertConfig(
        vocab_size=23,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    return transformers.BertForMaskedLM(config)


MODELS = {"gpt2": gpt2, "llama": llama, "bert": bert}
TARGETS = {"gpt2": ["c_attn"], "llama": ["q_proj", "v_proj"], "bert": ["query", "value"]}


@pytest.fixture(params=sorted(MODELS))
def architecture(request):
    return request.param


@pytest.fixture
def build():
    transformers = pytest.importorskip("transformers")

    def built(architecture, dtype=torch.float64, seed=0):
        torch.manual_seed(seed)
        return MODELS[architecture](transformers).to(dtype).eval()

    return built


@pytest.fixture
def ids():
    return torch.randint(0, 23, (3, 6), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def targets(architecture):
    return TARGETS[architecture]


@pytest.fixture
def sizes():
    """Small sizes for each method."""
    small = {"tensorguide": {"width": 6}, "linear-probe": {}}
    return lambda method: small.get(method, {"rank": 2})


@pytest.fixture
def logits():
    @torch.no_grad()
    def computed(model, ids):
        return model(input_ids=ids).logits

    return computed


@pytest.fixture
def scramble():
    """Every trainable entry from N(0, 1/4): a zero start hides nothing afterwards."""

    def scrambled(model, seed=0):
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            if parameter.requires_grad:
                draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.data.copy_(0.5 * draw)

    return scrambled
