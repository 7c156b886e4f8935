import gc
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flock_ws.cli import COMMANDS, Command, main

OURS = tuple(COMMANDS)

MODULE = """
import argparse
from flock_ws.errors import FlockError

def add_arguments(parser):
    parser.add_argument("--how", default="well")

def run(arguments):
    if arguments.how == "badly":
        raise FlockError("the port is taken")
    if arguments.how == "interrupted":
        raise KeyboardInterrupt
    if arguments.how == "needy":
        import not_installed_anywhere
    if arguments.how == "wrong":
        raise ZeroDivisionError
    print(arguments.how)
    return 3
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a command of our own into the table."""
    (tmp_path / "probe_command.py").write_text(MODULE)
    (tmp_path / "needy_command.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(COMMANDS, "probe", Command("probe_command", "try things", "load"))
    monkeypatch.setitem(COMMANDS, "needy", Command("needy_command", "cannot begin", "load"))
    monkeypatch.setitem(COMMANDS, "lost", Command("flock_ws.nowhere", "is not there", "load"))


pytestmark = pytest.mark.usefixtures("probe")


def test_a_command_gets_its_arguments_and_gives_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["probe", "--how", "quickly"]) == 3
    assert capsys.readouterr().out == "quickly\n"


@pytest.mark.parametrize("name", ["probe", "needy"])
def test_the_collector_of_garbage_is_left_as_it_was(name: str) -> None:
    frozen = gc.get_freeze_count()
    main([name])
    assert gc.isenabled()
    # It may fall, when something that is no longer used goes.
    assert gc.get_freeze_count() <= frozen


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    help_text = capsys.readouterr().out
    assert all(entry.help in help_text for entry in COMMANDS.values())


def test_the_help_teaches_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "flock-ws serve --events 100" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], *([name] for name in OURS)], ids=" ".join)
def test_a_help_fits_eighty_columns_and_shows_examples_and_exit_codes(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if len(line) > 80] == []
    example = shlex.join(["flock-ws", *words])
    assert f"\n  {example} " in told.partition("\nexamples:\n")[2]
    assert "\n  2" in told.partition("\nexit codes:\n")[2]


@pytest.mark.parametrize(
    ("module", "taught"),
    [
        ("flock_ws", "flock-ws serve --events 100"),
        ("simulators.faults", "python -m simulators.faults > docs/faults.md"),
    ],
)
def test_what_python_runs_as_a_module_teaches_with_an_example(module: str, taught: str) -> None:
    told = subprocess.run(  # noqa: S603  # our own interpreter and constant words
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    assert taught in told.stdout


def test_the_help_of_a_command_shows_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["probe", "--help"])
    assert ended.value.code == 0
    assert "--how" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("flock-ws ")


def test_an_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serv"]) == 2
    assert "no command 'serv'; did you mean 'serve'?" in capsys.readouterr().err


def test_an_unknown_option_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--nonsense"])
    assert ended.value.code == 2


def test_an_error_of_ours_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "--how", "badly"]) == 2
    assert capsys.readouterr().err == "flock-ws: the port is taken\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--traceback", "probe", "--how", "badly"],
        ["probe", "--traceback", "--how", "badly"],
    ],
)
def test_its_traceback_is_shown_on_demand(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("flock-ws: the port is taken\n")


def test_an_interrupt_ends_with_130() -> None:
    assert main(["probe", "--how", "interrupted"]) == 130


def test_a_bug_is_not_made_up_as_an_error_of_ours() -> None:
    with pytest.raises(ZeroDivisionError):
        main(["probe", "--how", "wrong"])


@pytest.mark.parametrize("words", [["needy"], ["probe", "--how", "needy"]])
def test_a_missing_extra_is_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "'not_installed_anywhere', which is not installed" in complaint
    assert "pip install 'flock-ws[load]'" in complaint


def test_a_module_of_ours_that_is_missing_is_no_missing_extra(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["lost"]) == 2
    complaint = capsys.readouterr().err
    assert "not complete in this installation" in complaint
    assert "pip install" not in complaint


def test_the_words_of_the_process_are_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["flock-ws", "probe"])
    assert main() == 3
    assert capsys.readouterr().out == "well\n"
