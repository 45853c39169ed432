"""Sphinx's settings for the documentation: `make docs` builds it, warnings are errors."""

import os

from hxwrappers import __version__

project = "hxwrappers"
author = "The hxwrappers developers"
copyright = "2026, The hxwrappers developers"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "hxwrappers"
html_static_path: list[str] = []

# Pages are Markdown that also reads well on GitHub; headings are targets of links there and here.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
# Notebooks are executed by the tests, and shown with what they printed.
nb_execution_mode = "off"

# In docstrings `name` is a link where the name is documented, and code everywhere.
default_role = "py:obj"
autoclass_content = "class"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Pages of other projects are linked where the network is allowed: HXW_INTERSPHINX=1 make docs.
if os.environ.get("HXW_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "gymnasium": ("https://gymnasium.farama.org", None),
        "stable_baselines3": ("https://stable-baselines3.readthedocs.io/en/master", None),
    }
