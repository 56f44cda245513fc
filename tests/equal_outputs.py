"""Are the outputs of two versions equal? `python tests/equal_outputs.py OLD NEW FOLDER [WORD ..]`

OLD and NEW are checkouts. Every command below runs in both, in small sizes, and its JSON output and
the record that it leaves are compared: all but times, memory, versions, the commit and paths.
Numbers may differ by rounding, `RELATIVE` and `ABSOLUTE`; the largest deviation is printed. Fields
that only NEW has stand in `NEW_FIELDS`, changes that are meant in `EXPLAINED`, with the
reason. WORDs choose commands by their names. Exit code 1 if anything else differs.

FOLDER keeps what OLD said, as `NAME/old.json`: the next comparison runs NEW alone. Processor time
of each side is printed.
"""

import json
import math
import os
import re
import resource
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

#: Two versions may round otherwise: sums in another order, a triangle mirrored.
RELATIVE, ABSOLUTE = 1e-9, 1e-12
SMALL = "--task synthetic --samples 12 --device cpu"
IMAGES = "--images 40 --samples 16 --device cpu"
COMMANDS = {
    "spectrum": f"spectrum --method all --seeds 0:2 {SMALL}",
    "spectrum-sizes": f"spectrum -m tensorguide --width 8 --tt-ranks 1,2,2,1 --in-dims 1,2,1 "
    f"--out-dims 8,17,2 --activation relu --scale 0.5 --preset paper {SMALL}",
    "spectrum-images": f"spectrum -m lora -m tera --rank 2 --data-condition both {IMAGES}",
    "spectrum-cores": f"spectrum -m tt-lora -m lora --per-core --centred {SMALL}",
    "spectrum-weighted": f"spectrum -m lora --weighted --dtype float32 --memory 1GiB {SMALL}",
    "spectrum-compare": f"spectrum -m lora -m tera --seeds 0:4 --compare {SMALL}",
    "sweep": f"sweep -m lora -m tensorguide --width 8,32 --rank 1,2 --seeds 0:2 --jobs 1 {SMALL}",
    "sweep-ranks": f"sweep -m tensorguide --tt-ranks 1,2,2,1,1 --tt-ranks 1,1,1,1,1 --jobs 1 "
    f"{IMAGES}",
    "bounds": f"bounds --method all --gauge --draws 100 --steps 20 {SMALL}",
    "bounds-images": f"bounds -m lora --delta 0.1 --unit 2 --data-condition both {IMAGES}",
    "approx": "approx --quick --width 4,16 --tt-ranks 1,2,2,1,1 --samples 64 --steps 20 --jobs 1 "
    "--images 100",
    "approx-barron": "approx --target barron --width 8 --samples 64 --steps 20 --jobs 1 "
    "--seeds 0:2",
    "info": "info --method all",
    "info-sizes": "info -m tensorguide --width 4096 -d 768 -c 10 -n 32",
    "train": f"train -m lora -m tensorguide --epochs 2 --seeds 0:2 {SMALL}",
    "train-images": f"train -m tensorguide --steps 10 --watched 4 --latent redrawn {IMAGES}",
    "train-end-to-end": "train -m lora --end-to-end --epochs 1 --images 20",
    "dynamics": f"dynamics -m lora --steps 30 --alpha 10 {SMALL}",
    "dynamics-adam": f"dynamics -m tera --optimizer adam --loss cross-entropy --steps 20 {SMALL}",
    "pair": f"pair -m lora -m dense-head --epochs 1 --rates 0.01,0.1 --seeds 0:2 {SMALL}",
    "pair-table": "pair --table 2 --settings released --epochs 1 --images 40 --seeds 0",
    "check": "check --quick",
    "language": "train --task wikitext -m lora -m tensorguide --width 2 --steps 20 "
    "--look 5 --batch 16 --context 8 --windows 4,2,2 --seeds 0:2 --model {place}/model "
    "--data {place}/text",
    "language-search": "train --task wikitext -m lora --rank 1 --head replace --rates 0.01,0.1 "
    "--steps 12 --look 4 --batch 16 --context 8 --windows 4,2,2 --keep-logits "
    "--model {place}/model --data {place}/text",
}
#: Fields that came since version 0.1.0.
NEW_FIELDS = {"sigma_error", "errors_count", "cell"}
#: Differences that are meant, by the beginning of their sentence, as a regular expression.
EXPLAINED = {
    r"spectrum-weighted: .*\.(lambda_min_error|lambda_min_nonzero_error|rank_tolerance):": (
        "errors and tolerances count float32, in which these kernels are computed"
    ),
    r"check: \.(table4|tt_lora_latency)\[": (
        "judged by counted operations and bytes, where 0.1.0 judged by the clock"
    ),
    r"check: \.table3\[0\]\.(because|comparison):": "the verdict is one word of the check alone",
    r"language-search: \.cells\..*\.arrays:": "searches keep their losses, not their curves",
}
#: What differs from run to run, or says where and with what a run was made.
_VOLATILE = {
    *("seconds", "seconds_low", "seconds_high", "train_seconds", "steps_per_second"),
    *("tokens_per_second", "peak_memory_bytes", "peak_memory_of", "started", "commit", "dirty"),
    *("versions", "provenance", "command_line"),
}


_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(text)]


@dataclass
class Comparison:
    """Where two outputs differ, how far their numbers are apart, and what only one has.

    Attributes:
        differences: a sentence for each.
        largest: the largest relative deviation of numbers that count as equal and differ by more
            than `ABSOLUTE`.
        new: fields that only the second has, of `NEW_FIELDS`.
    """

    differences: list[str] = field(default_factory=list)
    largest: float = 0.0
    new: set[str] = field(default_factory=set)

    def compare(self, old: Any, new: Any, where: str = "") -> None:
        """Note how two values differ, and the values in them."""
        if isinstance(old, dict) and isinstance(new, dict):
            self.new |= (new.keys() - old.keys()) & NEW_FIELDS
            for key in sorted(old.keys() | (new.keys() - NEW_FIELDS)):
                self.compare(old.get(key), new.get(key), f"{where}.{key}")
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            for place, pair in enumerate(zip(old, new, strict=True)):
                self.compare(*pair, f"{where}[{place}]")
        elif isinstance(old, str) and isinstance(new, str):
            words, numbers = _NUMBER.split(old), zip(*map(_numbers, (old, new)), strict=False)
            near = all(a == b or self._near(a, b) for a, b in numbers)
            if words != _NUMBER.split(new) or not near:
                self.differences.append(f"{where}: {old[:300]} became {new[:300]}")
        elif old != new and not self._near(old, new):
            self.differences.append(f"{where}: {str(old)[:300]} became {str(new)[:300]}")

    def _near(self, old: Any, new: Any) -> bool:
        numbers = isinstance(old, float | int) and isinstance(new, float | int)
        if not numbers or isinstance(old, bool) or isinstance(new, bool):
            return False
        if math.isnan(old) and math.isnan(new):
            return True
        near = math.isclose(old, new, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        if near and abs(old - new) > ABSOLUTE:
            self.largest = max(self.largest, abs(old - new) / max(abs(old), abs(new)))
        return near


def compared(old: Path, new: Path, folder: Path, words: list[str]) -> list[str]:
    """One sentence for each difference."""
    differences = []
    for name, template in COMMANDS.items():
        if words and not any(name.startswith(word) for word in words):
            continue
        start, place = _processor_seconds(), folder / name
        line = template.format(place=place)
        if "wikitext" in line and not place.exists():
            make_language_model(place)
        sides = {"old": old, "new": new}
        results = [outputs_once(old, line, place / "old"), outputs(new, line, place / "new")]
        comparison = Comparison()
        for side, result in zip(sides, results, strict=True):
            if "exit code" in result:
                comparison.differences.append(f" failed in {side}: {result['stderr']}")
        if name == "check":  # claims that came later have nothing to be compared with
            results[1] = {claim: results[1].get(claim) for claim in results[0]}
        comparison.compare(results[0], results[1])
        open_ones = unexplained([f"{name}: {text}" for text in comparison.differences])
        differences += open_ones
        word = "differs" if open_ones else "equal  "
        new_fields = f"; new: {', '.join(sorted(comparison.new))}" if comparison.new else ""
        took = f"{_processor_seconds() - start:.0f} s of processor"
        sys.stdout.write(
            f"{word}  {name} (numbers to {comparison.largest:.1g}{new_fields}; {took})\n"
        )
        sys.stdout.flush()
    return differences


def unexplained(differences: list[str]) -> list[str]:
    """Those that no reason covers; how many each reason covers is printed."""
    for pattern, reason in EXPLAINED.items():
        meant = [text for text in differences if re.match(pattern, text)]
        differences = [text for text in differences if text not in meant]
        if meant:
            sys.stdout.write(f"         {len(meant)} meant: {reason}\n")
    return differences


def make_language_model(place: Path) -> None:
    """A tiny model and texts, those of the tests of the task."""
    made = runpy.run_path(str(Path(__file__).parent / "tasks/wikitext/conftest.py"))
    made["make_model"](place / "model")
    made["make_text"](place / "text")


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def outputs_once(tree: Path, line: str, out: Path) -> dict[str, Any]:
    """The outputs of a tree that does not change: read where an earlier comparison kept them."""
    file, said = out.with_suffix(".json"), {"tree": str(tree), "line": line}
    if file.exists():
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if kept["said"] == said:
            return dict(kept["outputs"])
    result = outputs(tree, line, out)
    file.write_text(json.dumps({"said": said, "outputs": result}), encoding="utf-8")
    return result


def outputs(tree: Path, line: str, out: Path) -> dict[str, Any]:
    """The JSON that a command prints, and its files in `out`, without times and versions."""
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ntklab.cli.main", *line.split(), "--format", "json"]
    start = "from ntklab.cli.main import main; main()"
    command[1:3] = ["-c", start]
    kept = not line.startswith("info")
    command += ["--out", str(out)] if kept else []
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    environment["NTKLAB_CACHE"] = str(out.with_name(f"{out.name}-cache"))
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tree, check=False
    )
    if done.returncode:
        return {"exit code": done.returncode, "stderr": done.stderr[-2000:]}
    result: dict[str, Any] = {"stdout": json.loads(done.stdout)}
    if kept:
        result["record"] = json.loads((out / "record.json").read_text(encoding="utf-8"))
        result["cells"] = {
            path.name: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((out / "cells").glob("*.json"))
        }
        arrays = out / "record.safetensors"
        values = load_file(arrays) if arrays.exists() else {}
        result["arrays"] = {name: value.tolist() for name, value in values.items()}
    if line.startswith("check"):
        result = _by_claim(result["record"]["results"])
    return _steady(result)


def _by_claim(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Entries of a record of checks by claim: the verdict's first, then the rows of its table."""
    claims: dict[str, Any] = {}
    for row in rows:
        name = row.pop("check").replace("/", "_").removeprefix("tensorguide_")
        claims.setdefault(name, []).append(row)  # claims had no pack in version 0.1.0
    return claims


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(item) for key, item in value.items() if key not in _VOLATILE}
    return [_steady(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    first, second, third = (Path(word).resolve() for word in sys.argv[1:4])
    changes = compared(first, second, third, sys.argv[4:])
    sys.stdout.write("\n".join(changes) + "\n")
    sys.exit(bool(changes))
