"""Are the outputs of two versions equal? `python tests/equal_outputs.py OLD NEW [WORD ..]`

OLD and NEW are checkouts. Every command below runs in both, in small sizes, and its JSON output and
the record that it leaves are compared: all but times, memory, versions, the commit and paths.
WORDs choose commands by their names. Exit code 1 if anything differs.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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
    "--images 40",
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
    "check": "check eq01 eq13 --quick",
}
#: What differs from run to run, or says where and with what a run was made.
_VOLATILE = {
    *("seconds", "seconds_low", "seconds_high", "train_seconds", "steps_per_second"),
    *("tokens_per_second", "peak_memory_bytes", "peak_memory_of", "started", "commit", "dirty"),
    *("versions", "provenance", "command_line"),
}


def compared(old: Path, new: Path, words: list[str]) -> list[str]:
    """One sentence for each difference."""
    differences = []
    for name, line in COMMANDS.items():
        if words and not any(name.startswith(word) for word in words):
            continue
        with tempfile.TemporaryDirectory() as place:
            results = [
                outputs(tree, line, Path(place) / side)
                for side, tree in (("old", old), ("new", new))
            ]
        found = [f"{name}: {one}" for one in unequal(*results)]
        sys.stdout.write(f"{'differs' if found else 'equal  '}  {name}\n")
        sys.stdout.flush()
        differences += found
    return differences


def outputs(tree: Path, line: str, out: Path) -> dict[str, Any]:
    """What a command prints and what it leaves on disk, without what is volatile."""
    command = [sys.executable, "-m", "ntklab.cli.main", *line.split(), "--format", "json"]
    start = "from ntklab.cli.main import main; main()"
    command[1:3] = ["-c", start]
    kept = not line.startswith("info")
    command += ["--out", str(out)] if kept else []
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tree, check=False
    )
    if done.returncode:
        return {"exit code": done.returncode, "stderr": done.stderr[-2000:]}
    found = {"stdout": json.loads(done.stdout)}
    if kept:
        found["record"] = json.loads((out / "record.json").read_text(encoding="utf-8"))
        found["cells"] = {
            path.name: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((out / "cells").glob("*.json"))
        }
        arrays = out / "record.safetensors"
        found["arrays"] = arrays.read_bytes().hex() if arrays.exists() else None
    return _steady(found)


def unequal(old: Any, new: Any, where: str = "") -> list[str]:
    """The places where two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            one
            for key in sorted(old.keys() | new.keys())
            for one in unequal(old.get(key), new.get(key), f"{where}.{key}")
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [one for place, pair in pairs for one in unequal(*pair, f"{where}[{place}]")]
    return [] if old == new else [f"{where}: {str(old)[:200]} became {str(new)[:200]}"]


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(item) for key, item in value.items() if key not in _VOLATILE}
    return [_steady(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    found = compared(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:])
    sys.stdout.write("\n".join(found) + "\n")
    sys.exit(bool(found))
