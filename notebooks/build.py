"""Execute the notebooks: from each text twin (.md) its .ipynb, with outputs light and repeatable.

    python notebooks/build.py            all of them, one after the other
    python notebooks/build.py 02 05      those whose names begin so

The text twin is the source. What changes from run to run and says nothing (times, random cell
ids, addresses of processes) is left out, so that running again is a small difference.
"""

import base64
import hashlib
import io
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from ntklab.files import write_text

FOLDER = Path(__file__).resolve().parent
PARAMETERS = "parameters"  # the tag of the cell that may be changed from outside
LARGEST_BYTES = 1_000_000

_METADATA = {
    "jupytext": {"formats": "ipynb,md:myst"},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def twins(names: Sequence[str] = ()) -> list[Path]:
    """The text twins in order; only those whose names begin with one of `names`, if given."""
    found = sorted(path for path in FOLDER.glob("[0-9][0-9]-*.md"))
    return [path for path in found if not names or path.name.startswith(tuple(names))]


def read(twin: Path) -> NotebookNode:
    """The notebook that a text twin describes, not yet run, with ids that its text decides."""
    notebook = jupytext.read(twin)
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        word = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        cell.id = f"{word}-{seen[word]}"
        seen[word] += 1
    notebook.metadata = nbformat.from_dict(_METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def parameters(notebook: NotebookNode) -> dict[str, Any]:
    """Names and values that the parameters cell sets."""
    values: dict[str, Any] = {}
    exec(_parameters_cell(notebook).source, values)
    return {name: value for name, value in values.items() if name.isupper()}


def with_parameters(notebook: NotebookNode, changes: Mapping[str, Any]) -> NotebookNode:
    """The notebook with some of its parameters changed; a name that it does not have is refused."""
    if unknown := set(changes) - set(parameters(notebook)):
        raise KeyError(f"no parameter of this notebook: {', '.join(sorted(unknown))}")
    cell = _parameters_cell(notebook)
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in changes.items())
    return notebook


def execute(notebook: NotebookNode, *, threads: int = 2, timeout: int = 600) -> NotebookNode:
    """Run all cells in a fresh kernel of this environment, in the folder of the notebooks."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "IPYTHONDIR": scratch,  # no history, no profile of the user
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            # Bars that other libraries draw, and their complaint that they cannot draw them well.
            "TQDM_DISABLE": "1",
            "PYTHONWARNINGS": "ignore:IProgress not found",
        }
        # Over files rather than ports: two kernels that start at once cannot meet on one port.
        transport = "ipc" if os.name == "posix" else "tcp"
        manager = AsyncKernelManager(
            kernel_name="python3",
            transport=transport,
            connection_file=str(Path(scratch) / "kernel.json"),
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=timeout,
            record_timing=False,
            resources={"metadata": {"path": str(FOLDER)}},
        )
        return client.execute(env=environment)


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Leave out what differs from run to run without saying anything, and make pictures light."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = light_png(output.data["image/png"])
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k == "tags"})
    notebook.metadata = nbformat.from_dict(_METADATA)
    nbformat.validate(notebook)
    return notebook


def light_png(encoded: str) -> str:
    """A PNG with the 256 colours that suit it best: a third of the bytes, and looks the same."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def build(twin: Path) -> Path:
    """Run one notebook and write it beside its twin, whole or not at all."""
    notebook = tidy(execute(read(twin)))
    text = nbformat.writes(notebook) + "\n"
    if len(text) > LARGEST_BYTES:
        raise SystemExit(f"{twin.stem}.ipynb would have {len(text)} bytes: draw less or smaller.")
    path = twin.with_suffix(".ipynb")
    write_text(path, text)
    return path


def _parameters_cell(notebook: NotebookNode) -> NotebookNode:
    tagged = [c for c in notebook.cells if PARAMETERS in c.metadata.get("tags", ())]
    if len(tagged) != 1:
        raise ValueError(f"{len(tagged)} cells are tagged '{PARAMETERS}': there must be one")
    return tagged[0]


def main() -> None:
    """Build what the command line names."""
    for twin in twins(sys.argv[1:]):
        started = time.perf_counter()
        path = build(twin)
        size, seconds = path.stat().st_size / 1e3, time.perf_counter() - started
        print(f"{path.name}: {seconds:.0f} s, {size:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
