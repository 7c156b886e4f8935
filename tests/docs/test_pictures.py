"""The pictures of the pages are what their scripts draw."""

import runpy
from pathlib import Path

import pytest

_DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["lanes", "imports"])
def test_the_committed_picture_is_what_its_script_draws(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(_DOCS / f"draw_{name}.py"), run_name="__main__")
    drawn = capsys.readouterr().out
    picture = _DOCS / "images" / f"{name}.svg"
    assert drawn == picture.read_text(encoding="utf-8"), (
        f"draw it anew: python docs/draw_{name}.py > docs/images/{name}.svg"
    )
