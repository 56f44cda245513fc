"""Sphinx: the reference from docstrings, the pages in this folder, the notebooks as they stand."""

import builtins
import inspect
import sys
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref

import ntklab
from ntklab.claims.report.formula import mathml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generate import write_command_pages, write_gallery, write_inventories  # noqa: E402

project = "ntklab"
release = version = ntklab.__version__
copyright = "the ntklab developers"
html_title = f"ntklab {version}"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "bench"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # outputs are committed, and the tests execute the notebooks
nb_render_markdown_format = "myst"  # tables and formulas in what cells display
html_math_renderer = "mathml"  # set by the browser itself, so that pages need no network

# `__all__` of each package is grouped by use; the reference keeps that order.
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

default_role = "code"  # docstrings write `names` as Markdown does

html_theme = "furo"
html_static_path = ["_static"]
html_js_files = [("copy.js", {"defer": "defer"})]
html_css_files = ["copy.css"]
html_theme_options = {"light_css_variables": {"font-stack": "Georgia, 'DejaVu Serif', serif"}}

generated = HERE / "_generated"
(generated / "commands").mkdir(parents=True, exist_ok=True)
write_command_pages(generated / "commands")
write_gallery(generated, HERE.parent / "figures")
intersphinx_mapping = write_inventories(generated)
autosummary_generate = False  # tables of what a page holds, not pages of their own

# Notebooks live at the top, where users look for them; Sphinx reads only what lies in here.
notebooks = HERE / "_notebooks"
notebooks.mkdir(exist_ok=True)
for source in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
    text = source.read_text(encoding="utf-8").replace("(../docs/", "(../")
    (notebooks / source.name).write_text(text, encoding="utf-8")


def _summary_first(app, what, name, obj, options, lines):
    """A package's page begins with a table of its names, each with its first sentence."""
    names = getattr(obj, "__all__", ()) if what == "module" else ()
    # Constants are left out: their docstrings are those of dict, tuple and float.
    kinds = (inspect.isroutine, inspect.isclass)
    shown = [s for s in names if any(kind(getattr(obj, s)) for kind in kinds)]
    if shown:
        lines += ["", ".. autosummary::", "   :nosignatures:", "", *(f"   {s}" for s in shown), ""]


def _bars_are_bars(app, what, name, obj, options, lines):
    """|x| in a docstring is an absolute value, not reStructuredText's substitution."""
    for place, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[place] = line.replace("|", r"\|")


def _formula(display):
    def visit(translator, node):
        translator.body.append(mathml(node.astext().strip(), display=display))
        raise nodes.SkipNode

    return visit, None


def _builtins_are_no_attributes(app, doctree):
    """`bytes` in a signature is Python's, not an attribute of that name of some class of ours."""
    for node in list(doctree.findall(pending_xref)):
        if hasattr(builtins, node["reftarget"]):
            node.replace_self(node.children)


def setup(app):
    """Formulas as MathML; and a hook into autodoc before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", _bars_are_bars, priority=400)
    app.connect("autodoc-process-docstring", _summary_first, priority=900)
    app.connect("doctree-read", _builtins_are_no_attributes)
    app.add_html_math_renderer("mathml", _formula(False), _formula(True))
