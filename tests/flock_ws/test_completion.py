import shutil
import subprocess
from pathlib import Path

import pytest

from flock_ws.cli import COMMANDS, main, whole_parser


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_the_script_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in script] == []
    assert "heartbeat-interval" in script


def test_the_script_completes_files_where_an_option_takes_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["completion", "zsh"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if '"--junit[write it' in line)
    assert line.endswith(':_files"')


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("serve --ev", {"--events"}),
        ("serve --loop u", {"uvloop"}),
        ("--ver", {"--version"}),
        ("load --html own", {"own.toml"}),
        ("load --scenario ", {"own.toml", "storm", "soak"}),
    ],
)
def test_bash_completes_commands_options_words_and_files(
    words: str,
    offered: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    (tmp_path / "own.toml").touch()
    main(["completion", "bash"])
    script = capsys.readouterr().out
    asked = f"""
COMP_WORDS=(flock-ws {words.replace(" ", "' '").join("''")}); COMP_LINE='flock-ws {words}'
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_flock_ws; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    told = subprocess.run(  # noqa: S603  # the script that we have just written
        [bash, "-c", script + asked], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert offered <= set(told.stdout.split())


def test_a_shell_that_is_not_known_is_refused_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "teapot"])
    assert ended.value.code == 2
    assert "bash" in capsys.readouterr().err


def test_the_whole_parser_reads_the_words_of_a_command() -> None:
    arguments = whole_parser().parse_args(["serve", "--events", "5"])
    assert arguments.events == 5
