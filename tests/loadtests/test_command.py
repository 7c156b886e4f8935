import runpy
import sys
from pathlib import Path

import pytest

import loadtests
from loadtests.catalogue import text
from loadtests.command import _command


def test_the_package_run_as_a_module_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loadtests/__main__.py", "--show", "storm"])
    with pytest.raises(SystemExit) as ended:
        # By its path: in a wheel's packages pytest's import hook stands in the way of run_module.
        runpy.run_path(str(Path(loadtests.__file__).with_name("__main__.py")), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == text("storm")
    assert _command() == "flock-ws load --show storm"
