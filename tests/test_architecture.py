"""The house's own rules: which way imports run, how long a file may be, what an import costs."""

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, CHECKS, TESTS = ROOT / "ntklab", ROOT / "paper_checks", ROOT / "tests"
MODULES, CLAIMS = sorted(PACKAGE.rglob("*.py")), sorted(CHECKS.rglob("*.py"))
FILES = [*MODULES, *CLAIMS, *TESTS.rglob("*.py")]
MOST_LINES = 400
MOST_MODULES = 22

# A package may import those on lower floors, and itself. Leaves stand on the ground floor.
FLOORS = (
    (
        *("errors", "files", "statistics", "parallel", "host_memory"),
        *("configuration", "registry", "lazy_names", "compute", "tables", "accelerator"),
        *("arrays", "display"),
    ),
    ("records", "tasks", "tensor_train"),
    ("distributed",),
    ("adapters",),
    ("jacobians",),
    ("spectra",),
    ("bounds", "dynamics"),
    ("training",),
    ("experiments",),
    ("figures", "testing"),
    ("bench", "claims"),
    ("reproduce",),
    ("cli",),
)
LEAVES = {"records", "tasks"}  # they import only what is on the ground floor
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def package_of(path):
    """`adapters` for ntklab/adapters/lora.py, `errors` for ntklab/errors.py, "" for the face."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imported(path):
    """The modules of ntklab that a file imports when it runs, wherever in the file that stands."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_imported(path):
    names = (name.split(".") for name in imported(path) if name.startswith("ntklab."))
    return {parts[1] for parts in names if parts[1] in FLOOR}


def test_every_package_has_its_floor():
    assert {package_of(path) for path in MODULES} - {""} <= FLOOR.keys()


@pytest.mark.parametrize("here", sorted(FLOOR))
def test_imports_run_one_way(here):
    allowed = {
        name
        for name in FLOOR
        if name in (here, *(FLOORS[0])) or (here not in LEAVES and FLOOR[name] < FLOOR[here])
    }
    for path in (path for path in MODULES if package_of(path) == here):
        assert packages_imported(path) <= allowed, path


def test_modules_import_each_other_without_a_cycle():
    """Module by module, whatever imports wherever it stands: lazily, or for types alone."""
    graph = {}
    for path in (*MODULES, *CLAIMS):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        graph[name.removesuffix(".__init__")] = path
    edges = {name: set() for name in graph}
    for name, path in graph.items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                wholes = {f"{node.module}.{alias.name}" for alias in node.names} & graph.keys()
                edges[name] |= wholes or ({node.module} & graph.keys())
            elif isinstance(node, ast.Import):
                edges[name] |= {alias.name for alias in node.names} & graph.keys()
    edges = {name: others - {name} for name, others in edges.items()}
    state = {}

    def visit(name, trail):
        assert state.get(name) != "open", " → ".join([*trail, name])
        if name not in state:
            state[name] = "open"
            for other in sorted(edges[name]):
                visit(other, [*trail, name])
            state[name] = "done"

    for name in edges:
        visit(name, [])


def test_no_file_is_longer_than_a_person_reads():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("paths", [MODULES, CLAIMS], ids=["ntklab", "paper_checks"])
def test_nine_functions_in_ten_are_shorter_than_a_screen(paths):
    """From `def` to the last line, docstring and all."""
    nodes = (node for path in paths for node in ast.walk(parsed(path)))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    short = [node for node in functions if node.end_lineno - node.lineno + 1 < 30]
    assert len(short) >= 0.9 * len(functions)


def test_tests_are_as_long_as_half_of_what_they_test_and_more():
    """Lines of code, without docstrings, comments and empty lines; those of `paper_checks` apart.

    The claims in `paper_checks` are measurements whose tests plant worlds in which they hold or
    not; they are not held to a share.
    """
    source, tests = Counter(), Counter()
    for path in MODULES:
        source[folder_of(path, PACKAGE)] += code_lines(path)
    for path in TESTS.rglob("*.py"):
        tests[folder_of(path, TESTS)] += code_lines(path)
    del tests["paper_checks"]
    assert tests.total() >= 0.6 * source.total()
    thin = {name: tests[name] / source[name] for name in source if tests[name] < 0.4 * source[name]}
    assert thin == {}


def folder_of(path, root):
    """The package that a file belongs to; "" for a module of the root itself."""
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 else ""


def code_lines(path):
    """Lines that are neither empty nor a comment nor within a docstring."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    prose = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            prose |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return sum(
        number not in prose and line.strip() != "" and not line.lstrip().startswith("#")
        for number, line in lines
    )


def test_no_folder_holds_more_modules_than_a_person_keeps_in_mind():
    """A paper's folder has a file a claim, as many as the paper has; what they share counts."""
    shared = [path for path in CLAIMS if path.stem.startswith("_")]
    counts = Counter(path.parent.relative_to(ROOT) for path in (*MODULES, *shared))
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_there_is_no_drawer_for_odds_and_ends():
    assert not {path.stem for path in MODULES} & {"utils", "util", "helpers", "misc", "common"}


def test_a_summary_names_its_thing():
    """No docstring begins "What …": it leaves open whether a value, an action or a rule follows."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [(path, n) for path in (*MODULES, *CLAIMS) for n in ast.walk(parsed(path))]
    texts = [(path, ast.get_docstring(n) or "") for path, n in nodes if isinstance(n, kinds)]
    assert [(path, text[:60]) for path, text in texts if text.startswith("What ")] == []


def loaded_by(code):
    names = "sorted({name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*{names})"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_ntklab_loads_no_plots_and_no_language_models():
    everything = "import ntklab\n[getattr(ntklab, name) for name in ntklab.__all__]"
    for code in ("import ntklab", everything):
        assert not loaded_by(code) & {"matplotlib", "seaborn", "transformers", "peft", "pandas"}


def test_importing_the_program_loads_no_torch():
    assert not loaded_by("import ntklab.cli.main") & {"torch", "numpy", "scipy", "matplotlib"}


def test_public_names_are_what_they_say():
    import ntklab

    for name in ntklab.__all__:
        assert getattr(ntklab, name) is not None
        assert name in dir(ntklab)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = ntklab.absent
