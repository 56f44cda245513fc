"""Kernels of layers inside real models, beside the passes that any way must make.

`python -m ntklab.bench.inside.models JSON` measures one contender's memory in a process of its own.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.bench.inside.peers import absent, limit_memory, model_peers, peer_run
from ntklab.bench.peak import peak_bytes, reset_peak
from ntklab.bench.timing import clock, in_turns, synchronizer
from ntklab.errors import InputError
from ntklab.jacobians import TokenLogits, format_memory, jacobian, parse_memory
from ntklab.tasks import resnet18

Row = dict[str, Any]

#: One forward pass and C backward passes of the batch by autograd, without any kernel.
PASSES = "passes"
# Seconds that a process of its own may take.
_LONGEST = 1800.0
# Of SmolLM2-135M as published: a model without values needs no file.
_SMOLLM2 = {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536}
_SMOLLM2 |= {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3}
_TINY = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24}
_TINY |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
# Any two tokens cost the same.
_WORDS = (2088, 7194)


@dataclass(frozen=True)
class ModelProblem:
    """A model, what is trained of it, and inputs: JSON data.

    Attributes:
        model: `smollm2` (fetched by `python -m ntklab.tasks.wikitext`), `llama` (tiny, random) or
            `resnet18` (one channel, random).
        trained: `lora` (peft, r = 4 on q and v), `lora-last-two` (of the last two layers),
            `layers` (all but the embedding) or `all`.
        samples: N.
        length: tokens of a sequence, or the side of an image.
        outputs: C; two label words for a language model.
        memory: what the kernel may take, as `--memory` has it.
    """

    model: str
    trained: str
    samples: int
    length: int
    outputs: int = 2
    memory: str = "4GiB"

    def build(self, device: str = "cpu") -> tuple[nn.Module, Any, TokenLogits | None]:
        """The model in float32, its inputs, and the readout of its outputs.

        On the meta device it has shapes and no values, and no file is read.

        Raises:
            InputError: SmolLM2 is not in the cache, or transformers or peft are absent.
        """
        drawn = torch.Generator().manual_seed(1)
        if self.model == "resnet18":
            features = resnet18(in_channels=1, seed=0)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                classifier = nn.Linear(512, self.outputs)
            model = nn.Sequential(features.requires_grad_(True), classifier).to(device).eval()
            images = torch.randn(self.samples, 1, self.length, self.length, generator=drawn)
            return model, images.to(device), None
        language = _train(_language_model(self.model, device), self.trained).to(device).eval()
        size = language.get_input_embeddings().num_embeddings
        ids = torch.randint(size, (self.samples, self.length), generator=drawn)
        words = tuple(word % size for word in _WORDS)
        return language, {"input_ids": ids.to(device)}, TokenLogits(words)


@dataclass(frozen=True)
class ModelCase:
    """One kernel inside a model, by several contenders in turns.

    Attributes:
        name: what `--case` says.
        problem: at its real size.
        quick: at the size of `--quick`.
        engines: beside `passes`.
    """

    name: str
    problem: ModelProblem
    quick: ModelProblem
    engines: tuple[str, ...] = ("layerwise",)


def _cases() -> tuple[ModelCase, ...]:
    tiny = ModelProblem("llama", "lora", 4, 8)
    lora = ModelProblem("smollm2", "lora", 32, 64)
    layers = ModelProblem("smollm2", "layers", 32, 48, memory="4GiB")
    more = replace(layers, samples=128, memory="8GiB")
    images = ModelProblem("resnet18", "all", 64, 50, outputs=10)
    both = ("layerwise", "jacrev")
    return (
        ModelCase("model-lora", lora, tiny, both),
        ModelCase("model-layers", layers, replace(tiny, trained="layers")),
        ModelCase("model-layers-128", more, replace(tiny, trained="layers", samples=8)),
        ModelCase("model-tied", replace(layers, trained="all"), replace(tiny, trained="all")),
        ModelCase("model-resnet18", images, replace(images, samples=3, outputs=2, length=17), both),
    )


MODEL_CASES = _cases()


def model_rows(
    case: ModelCase,
    *,
    quick: bool,
    repeats: int,
    device: str,
    budget: float,
    peak: bool,
    peers: bool = False,
) -> list[Row]:
    """One row a contender: seconds, ratio to the passes, speed-up over `jacrev`, error, memory.

    Times include the engine's plan and its comparison with `loop`. `relative_error` is the
    distance from the first engine's kernel; `process_bytes` the most that a process of its own
    held, weights and torch included.

    Args:
        case: what to measure.
        quick: whether the small form.
        repeats: rounds that count.
        device: where.
        budget: seconds after which a contender is not run again.
        peak: whether to measure memory.
        peers: whether to race other libraries and the torch tutorial. Each is first run in a
            process that may take the problem's memory beside the model, and no more; one that
            needs more, fails or is absent has a row that says so, and takes no turns.
    """
    problem = case.quick if quick else case.problem
    apart = {name: _admitted(problem, name, device) for name in model_peers()} if peers else {}
    refused = [name for name, row in apart.items() if row.get("reason")]
    names = (PASSES, *case.engines, *(name for name in apart if name not in refused))
    rows = {name: _blank(case.name, name, problem) for name in (*names, *refused)}
    for name, row in apart.items():
        rows[name].update(row)
    try:
        model, x, readout = problem.build(device)
    except InputError as error:
        return [row | {"reason": str(error)} for row in rows.values()]
    kernels: dict[str, Tensor] = {}
    runs = {name: _run(name, problem, model, x, readout) for name in names}

    def inspect(name: str, result: Any) -> None:
        if name != PASSES:
            kernels[name] = result

    times = in_turns(
        runs, repeats, budget=budget, synchronize=synchronizer(device), inspect=inspect
    )
    params = sum(p.numel() for p in model.parameters() if p.requires_grad)
    for name in names:
        row = rows[name]
        row |= {
            "params": params,
            "seconds": times[name].median,
            "seconds_min": times[name].minimum,
            "runs": len(times[name].seconds),
            "ratio_passes": times[name].median / times[PASSES].median,
        }
        if "jacrev" in times:
            row["speedup"] = times["jacrev"].median / times[name].median
        if name in kernels:
            reference = kernels[case.engines[0]]
            off = (kernels[name] - reference).abs().max() / reference.abs().max()
            row["relative_error"] = float(off)
    del model, x, runs
    if peak:
        for name in (PASSES, *case.engines):
            rows[name].update(_apart(problem, name, device))
    return list(rows.values())


def _admitted(problem: ModelProblem, name: str, device: str) -> Row:
    """The row of a peer, run in a process that may take the problem's memory beside the model."""
    reason = absent(name)
    return {"reason": reason} if reason else _apart(problem, name, device, limited=True)


def measure_here(request: dict[str, Any]) -> Row:
    """The work of the child process: one contender, and the most memory that it held."""
    torch.set_num_threads(request["threads"])
    problem, device = ModelProblem(**request["problem"]), request["device"]
    model, x, readout = problem.build(device)
    if request["limited"]:
        limit_memory(parse_memory(problem.memory))
    reset_peak(device)
    seconds, _ = clock(_run(request["what"], problem, model, x, readout), synchronizer(device))
    return {"process_bytes": peak_bytes(device), "process_seconds": seconds}


def _apart(problem: ModelProblem, name: str, device: str, *, limited: bool = False) -> Row:
    request: dict[str, Any] = {"problem": asdict(problem), "what": name, "device": device}
    request |= {"threads": torch.get_num_threads(), "limited": limited}
    command = [sys.executable, "-m", "ntklab.bench.inside.models", json.dumps(request)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        return {"reason": f"memory: took more than {_LONGEST:.0f} s"}
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return {"reason": _said(last[0], problem.memory if limited else None)}
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def _said(error: str, limit: str | None) -> str:
    """The last line of a process that failed, in the words of a table.

    Example:
        >>> _said("RuntimeError: …: you tried to allocate 3145728 bytes. Error code 12", "2MiB")
        'takes more than 2MiB: 3.0 MiB were asked for at once'
    """
    asked = re.search(r"allocate (\d+) bytes", error)
    if asked and limit:
        size = format_memory(int(asked[1]))
        return f"takes more than {limit}: {size} were asked for at once"
    return f"within {limit}: {error}" if limit else f"memory: {error}"


def _run(
    name: str, problem: ModelProblem, model: nn.Module, x: Any, readout: TokenLogits | None
) -> Callable[[], Any]:
    def kernel() -> Tensor:
        memory = parse_memory(problem.memory)
        return jacobian(model, x, readout=readout, engine=name, memory=memory).gram()

    if name in model_peers():
        return peer_run(name, model, x, readout)
    return partial(passes, model, x, readout) if name == PASSES else kernel


def passes(model: nn.Module, x: Any, readout: TokenLogits | None) -> None:
    """One forward pass and C backward passes of the batch, which every engine must make."""
    leaves = [p for p in model.parameters() if p.requires_grad]
    # As the readout does it: the last projection sees one position.
    outputs = model(x) if readout is None else readout.read(model, lambda: model(**x), x)
    for c in range(outputs.shape[1]):
        last = c + 1 == outputs.shape[1]
        torch.autograd.grad(outputs[:, c].sum(), leaves, retain_graph=not last)


def _blank(case: str, name: str, problem: ModelProblem) -> Row:
    return {
        "kind": "model",
        "case": case,
        "contender": name,
        "model": problem.model,
        "trained": problem.trained,
        "samples": problem.samples,
        "length": problem.length,
        "outputs": problem.samples * problem.outputs,
        "memory": problem.memory,
        "seconds": None,
        "reason": None,
    }


def _language_model(name: str, device: str) -> Any:
    from ntklab.tasks.wikitext.fetch import find_smollm2
    from ntklab.tasks.wikitext.language_model import load_language_model

    whole = name == "smollm2"
    if whole and torch.device(device).type != "meta":
        path = find_smollm2()
        if path is None:
            raise InputError("SmolLM2 is not here: run  python -m ntklab.tasks.wikitext  first.")
        return load_language_model(path).model
    transformers = _hf("transformers")
    sizes = _SMOLLM2 if whole else _TINY
    config = transformers.LlamaConfig(tie_word_embeddings=True, **sizes)
    with torch.random.fork_rng(devices=[]), torch.device(device if whole else "cpu"):
        torch.manual_seed(0)
        return transformers.LlamaForCausalLM(config)


def _train(model: Any, trained: str) -> Any:
    """The model with what is asked for requiring gradients, and nothing else."""
    model.requires_grad_(False)
    if trained in ("lora", "lora-last-two"):
        peft = _hf("peft")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            targets, count = ["q_proj", "v_proj"], model.config.num_hidden_layers
            chosen = None if trained == "lora" else [count - 2, count - 1]
            config = peft.LoraConfig(
                r=4, target_modules=targets, init_lora_weights=False, layers_to_transform=chosen
            )
            model = peft.inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        embedding = "embed_tokens" in name
        wanted = "lora_" in name if "lora" in trained else trained == "all" or not embedding
        parameter.requires_grad_(wanted)
    return model


def _hf(name: str) -> Any:
    import importlib

    from ntklab.errors import MissingExtraError

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("a bench case inside a language model", "hf") from error


if __name__ == "__main__":
    result = measure_here(json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    os._exit(0)
