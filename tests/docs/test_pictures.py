"""The pictures of the pages are what their scripts draw."""

import subprocess
import sys
from pathlib import Path

import pytest

_DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["lanes", "imports"])
def test_the_committed_picture_is_what_its_script_draws(name: str) -> None:
    drawn = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, str(_DOCS / f"draw_{name}.py")], capture_output=True, text=True, check=True
    ).stdout
    picture = _DOCS / "images" / f"{name}.svg"
    assert drawn == picture.read_text(encoding="utf-8"), (
        f"draw it anew: python docs/draw_{name}.py > docs/images/{name}.svg"
    )
