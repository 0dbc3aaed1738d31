"""Sphinx configuration of the documentation site. `make docs` builds it into site/, with warnings as errors."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

import serkit  # noqa: E402

project = "serkit"
author = "The serkit authors"
project_copyright = author
version = release = serkit.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["results/preface.md"]  # a part of results.md

# --- pages: Markdown that GitHub shows too

smartquotes = False  # `--out` stays as it is
myst_heading_anchors = 4  # named as GitHub names them
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "misc.highlighting_failure",  # a JSON example may be cut with "..."
    "ref.python",  # two modules may have a class of one name; a signature does not say which one it means
]
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

# --- notebooks: shown as they were saved; tests/docs runs them

nb_execution_mode = "off"

# --- API reference

autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "show-inheritance": True,
    "ignore-module-all": True,  # what a package passes on is described where it is defined
    "exclude-members": "set_fit_request, set_score_request, set_transform_request",  # made by scikit-learn
}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
default_role = "code"  # docstrings write code as Markdown does, between single backticks
python_use_unqualified_type_names = True

# --- looks: nothing comes from another server

html_theme = "furo"
html_title = "serkit"
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#3444b4", "color-brand-content": "#3444b4"},
    "dark_css_variables": {"color-brand-primary": "#a9b4ff", "color-brand-content": "#a9b4ff"},
}

reference.write(HERE / "reference", modules=not tags.has("prose"))  # noqa: F821


def setup(app: Sphinx) -> None:
    """Lead links to files outside of docs/ to their pages here."""

    def read(app: Sphinx, name: str, source: list[str]) -> None:
        source[0] = reference.links(name, source[0])

    app.connect("source-read", read)
