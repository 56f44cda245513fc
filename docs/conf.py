"""Sphinx: the reference from docstrings, the pages in this folder, the notebooks as they stand."""

from pathlib import Path

from docutils import nodes

import ntklab
from ntklab.claims.report.formula import mathml

HERE = Path(__file__).parent

project = "ntklab"
release = version = ntklab.__version__
copyright = "the ntklab developers"
html_title = f"ntklab {version}"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
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
html_static_path: list[str] = []
html_theme_options = {"light_css_variables": {"font-stack": "Georgia, 'DejaVu Serif', serif"}}

# Notebooks live at the top, where users look for them; Sphinx reads only what lies in here.
notebooks = HERE / "_notebooks"
notebooks.mkdir(exist_ok=True)
for source in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
    text = source.read_text(encoding="utf-8").replace("(../docs/", "(../")
    (notebooks / source.name).write_text(text, encoding="utf-8")


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


def setup(app):
    """Formulas as MathML; and a hook into autodoc before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", _bars_are_bars, priority=400)
    app.add_html_math_renderer("mathml", _formula(False), _formula(True))
