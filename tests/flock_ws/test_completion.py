import shutil
import subprocess

import pytest

from flock_ws.cli import COMMANDS, main, whole_parser


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_the_script_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in script] == []
    assert "heartbeat-interval" in script


def test_bash_completes_a_command_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    main(["completion", "bash"])
    script = capsys.readouterr().out
    asked = """
COMP_WORDS=(flock-ws serve --ev); COMP_CWORD=2; COMP_LINE='flock-ws serve --ev'
_shtab_flock_ws; printf '%s\\n' "${COMPREPLY[@]}"
"""
    told = subprocess.run(  # noqa: S603  # the script that we have just written
        [bash, "-c", script + asked], capture_output=True, text=True, check=True
    )
    assert "--events" in told.stdout.split()


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
