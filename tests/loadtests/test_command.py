import runpy
import sys

import pytest

from loadtests.catalogue import text
from loadtests.command import _command


def test_the_package_run_as_a_module_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtests/__main__.py", "--show", "storm"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("loadtests", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == text("storm")
    assert _command() == "flock-ws load --show storm"
