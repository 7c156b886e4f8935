"""How Sphinx builds these pages: `make docs`."""

import importlib
import os
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

from flock_ws.cli import COMMANDS

project = "flock-ws"
author = "The flock-ws developers"
copyright = "The flock-ws developers, MIT licence"  # noqa: A001 - Sphinx's own name for it
release = version = installed("flock-ws")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["reference/_commands.md"]
root_doc = "index"
# A single backtick links where there is something to link to, and is code otherwise.
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
# What asyncio says of a method that we override is not said of ours.
autodoc_inherit_docstrings = False
# Attributes are described in the class's docstring, where a reader of the source wants them.
napoleon_use_ivar = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "flock-ws"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}


def write_commands(app: Sphinx) -> None:
    """Write the help of every command, so that the page cannot be out of date."""
    folder = Path(app.srcdir, "reference")
    parts = []
    for name in ("", *COMMANDS):
        words = [sys.executable, "-m", "flock_ws", *([name] if name else []), "--help"]
        told = subprocess.run(  # noqa: S603 - our own commands
            words,
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        parts.append(f"## flock-ws {name}".rstrip() + f"\n\n```text\n{told.stdout}```\n")
    (folder / "_commands.md").write_text("\n".join(parts), encoding="utf-8")


def show_code(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Make the indented lines of a module's docstring what they are there: code."""
    if what != "module":
        return
    for number in range(len(lines) - 1, 0, -1):
        before = next((line for line in reversed(lines[:number]) if line), "")
        begins = lines[number].startswith("    ") and not lines[number - 1]
        if begins and before[:1] not in ("", " ", "*") and not before.endswith("::"):
            lines[number:number] = ["::", ""]


def setup(app: Sphinx) -> None:
    """Hook into the build."""
    # Locust would patch the whole process, and Sphinx with it.
    os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
    # Before autodoc does: it sets TYPE_CHECKING meanwhile, which pydantic does not survive.
    for module in (
        "flock_ws.server",
        "simulators.contract",
        "loadtests.verdict",
        "loadtests.users",
    ):
        importlib.import_module(module)
    app.connect("builder-inited", write_commands)
    app.connect("autodoc-process-docstring", show_code)
