"""``flock-ws check``: which promises does a manager keep?"""

import argparse
import gc
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulators.contract.adapters import Names
from simulators.contract.applications import is_application
from simulators.contract.blackbox import check_application, check_server
from simulators.contract.config import Config
from simulators.contract.examination import check_manager
from simulators.contract.loader import find
from simulators.contract.registry import CHECKS, Check, select_checks
from simulators.contract.results import Report, Result
from simulators.contract.watchdog import LAST_RESORTS
from simulators.errors import OptionError, SimulatorError

__all__ = ["add_arguments", "run"]

_USAGE = 2
_ELSEWHERE = ("ws://", "wss://")
_FILES = ("json", "junit", "html")
_EPILOG = """\
exit codes:
  0  every MUST that the manager offers is kept
  1  one is broken, an expected failure passed, or nothing could be judged
  2  wrong usage, nothing to import, or nobody can tell how the manager is used

examples:
  flock-ws check myapp.ws:ConnectionManager
      every check on a manager: a class, a function that makes one, an instance
  flock-ws check myapp.ws:manager --select heartbeat,evict.socket_is_closed
      some checks: ids, areas, patterns, levels (MUST) or classes (D19)
  flock-ws check myapp.ws:manager --no-sockets
      in virtual time only: nothing opens a socket
  flock-ws check myapp.ws:Hub --join 'enter(websocket, room)' \\
                              --broadcast 'tell(room, message)'
      what adds a client and what sends to all, where it cannot be told
  flock-ws check myapp.ws:Old myapp.ws:New --html report.html
      two managers side by side
  flock-ws check myapp.main:app --publish 'POST /say {"text": "{message}"}'
      an application, from outside; what makes it broadcast is mostly found out
  flock-ws check ws://127.0.0.1:8000/ws --say '{message}'
      a server that runs, by what its clients see; up to 40 MB go through it;
      without --say: by what it publishes by itself
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``flock-ws check``."""
    parser.epilog = _EPILOG
    # All of them in brackets would hide the one line that says what is wrong.
    parser.usage = "%(prog)s [options] MODULE:NAME ..."
    add = parser.add_argument
    add(
        "managers",
        nargs="*",
        metavar="WHAT",
        help="MODULE:NAME of a class, a function that makes a manager, a manager, or an ASGI "
        "application; or ws://HOST:PORT/PATH of a running server",
    )
    add(
        "--app",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="an ASGI application, or a function that makes one",
    )
    add("--path", help="of an application's WebSocket endpoint, such as /ws")
    add(
        "--publish",
        metavar="REQUEST",
        help='what makes it broadcast: \'POST /api/events {"text": "{message}"}\'',
    )
    add("--say", metavar="TEXT", help="the same, said by a client: '{message}'")
    add("--list", action="store_true", help="list the checks and what each promises")
    add("--select", action="append", metavar="CHECKS", help="which checks [all]")
    add("--seed", type=int, metavar="N", help="repeats a run [0]")
    add(
        "--seeds",
        type=int,
        metavar="N",
        help="under how many seeds to run what depends on chance [3]",
    )
    add(
        "--expect",
        action="append",
        default=[],
        metavar="ID=REASON",
        help="a check that may fail, and why; it must not pass then",
    )
    add("--config", metavar="FILE", help="a TOML file with all this, a [profile] and [expect]")
    add("--join", metavar="CALL", help="what adds a client, such as 'enter(websocket, id)'")
    add("--leave", metavar="CALL", help="what removes one, such as 'exit(id)'")
    add("--broadcast", metavar="CALL", help="what sends to all, such as 'tell(room, message)'")
    add(
        "--sockets",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the checks on real sockets too, a few seconds [yes]",
    )
    add(
        "--protocol",
        default="auto",
        metavar="NAME",
        help="uvicorn's WebSocket protocol for them: websockets-sansio, wsproto, or MODULE:CLASS "
        "[%(default)s]",
    )
    add("--json", metavar="FILE", help="write the report as JSON")
    add("--junit", metavar="FILE", help="write it for a build server")
    add("--html", metavar="FILE", help="write it as one page")
    add("-v", "--verbose", action="store_true", help="show everything that was seen")


def run(arguments: argparse.Namespace) -> int:
    """Run ``flock-ws check`` and return its exit code."""
    try:
        return _run(arguments)
    except SimulatorError as error:
        _complain(str(error))
        return _USAGE


def _run(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    if arguments.list:
        _say(_listed(select_checks(config.select, sockets=True)))
        return 0
    names = [*arguments.managers, *arguments.app]
    if not names:
        raise OptionError(
            "name a manager: flock-ws check myapp.ws:ConnectionManager (or --list the checks)"
        )
    # What nobody knows is refused before anything runs.
    select_checks(config.select, sockets=arguments.sockets)
    _look_for_folders(arguments)
    # Each check that fails collects garbage. What is there by now is none, and most there is.
    gc.collect()
    gc.freeze()
    reports: list[Report] = []
    for name in names:
        checks = _wanted(name, arguments, config)
        show = _progress(name, len(checks))
        results: list[Result] = []

        def note(
            result: Result,
            results: list[Result] = results,
            show: Callable[[Result], None] = show,
        ) -> None:
            results.append(result)
            show(result)

        with _last_resort(arguments, reports, name=name, results=results, config=config):
            try:
                report = _checked(name, arguments, config, progress=note)
            except KeyboardInterrupt:
                if results:
                    missing = len(checks) - len(results)
                    report = _partial(name, results, config, missing=missing)
                    _write(arguments, [*reports, report])
                done = f"{len(results)} of {len(checks)} checks on {name}"
                _complain(f"interrupted after {done}")
                raise
        reports.append(report)
    _write(arguments, reports)
    return 0 if all(report.verdict == "pass" for report in reports) else 1


def _wanted(name: str, arguments: argparse.Namespace, config: Config) -> tuple[Check, ...]:
    """Return the checks that what is named will meet: a server elsewhere only those on sockets."""
    elsewhere = name.startswith(_ELSEWHERE)
    checks = select_checks(config.select, sockets=arguments.sockets or elsewhere)
    return tuple(check for check in checks if not elsewhere or check.tier == "sockets")


def _checked(
    name: str,
    arguments: argparse.Namespace,
    config: Config,
    *,
    progress: Callable[[Result], None],
) -> Report:
    """Check a manager, an application or a server, whichever a name names."""
    options: dict[str, Any] = {
        "profile": config.profile,
        "expected_failures": config.expect,
        "select": config.select,
        "seed": config.seed,
        "progress": progress,
    }
    if name.startswith(_ELSEWHERE):
        _refuse(name, "a server", config.names, "path" if "path" in config.outside else None)
        return check_server(name, **(options | dict(config.outside)))
    options |= {
        "seeds": config.seeds,
        "sockets": arguments.sockets,
        "protocol": arguments.protocol,
    }
    if name in arguments.app or name.endswith("()") or is_application(find(name)[2]):
        _refuse(name, "an application", config.names)
        return check_application(name, **(options | dict(config.outside)))
    _refuse(name, "a manager", Names(), *config.outside)
    return check_manager(name, names=config.names, **options)


def _refuse(name: str, kind: str, names: Names, *others: str | None) -> None:
    """Refuse options that mean nothing for what is checked."""
    said = [word for word in ("join", "leave", "broadcast") if getattr(names, word) is not None]
    meaningless = [*said, *(word for word in others if word is not None)]
    if meaningless:
        raise OptionError(f"{name} is {kind}: --{meaningless[0]} means nothing for it")


@contextmanager
def _last_resort(
    arguments: argparse.Namespace,
    reports: list[Report],
    *,
    name: str,
    results: list[Result],
    config: Config,
) -> Iterator[None]:
    """Write what is known and end the process, should a manager not let itself be stopped."""

    def give_up(where: str) -> None:
        left = select_checks(config.select, sockets=arguments.sockets)[len(results) :]
        why = f"it computes without end at {where}, and catches whatever stops it"
        found = [
            Result(
                check_id=check.id,
                level=check.level,
                verdict="unknown" if at else "fail",
                message="the check before it never ended" if at else why,
                seed=config.seed,
                defects=check.defects,
                why=check.why,
                mend="Let BaseException through: catch Exception, and nothing wider.",
            )
            for at, check in enumerate(left)
        ]
        report = _partial(name, [*results, *found], config)
        for stream, real in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
            setattr(sys, stream, real)
        _write(arguments, [*reports, report])
        os._exit(1)

    LAST_RESORTS.append(give_up)
    try:
        yield
    finally:
        LAST_RESORTS.remove(give_up)


def _partial(name: str, results: Sequence[Result], config: Config, *, missing: int = 0) -> Report:
    """Return a report on a manager whose examination did not come to its end."""
    return Report(
        manager=name,
        profile=config.profile.as_dict(),
        results=tuple(results),
        seed=config.seed,
        missing=missing,
    )


def _config(arguments: argparse.Namespace) -> Config:
    """Put the file and the words of the command line together: the words win."""
    config = Config.read(arguments.config) if arguments.config else Config()
    expected = dict(config.expect)
    for text in arguments.expect:
        check_id, _, reason = text.partition("=")
        if not reason.strip():
            raise OptionError(f"--expect {text}: give the reason as well, --expect {check_id}=WHY")
        expected[check_id] = reason
    given = {name: getattr(arguments, name) for name in ("join", "leave", "broadcast")}
    names: Names = replace(
        config.names, **{name: text for name, text in given.items() if text is not None}
    )
    outside = {name: getattr(arguments, name) for name in ("path", "publish", "say")}
    return replace(
        config,
        names=names,
        outside={
            **config.outside,
            **{name: text for name, text in outside.items() if text is not None},
        },
        expect=expected,
        select=",".join(arguments.select) if arguments.select else config.select,
        seed=config.seed if arguments.seed is None else arguments.seed,
        seeds=config.seeds if arguments.seeds is None else arguments.seeds,
    )


def _look_for_folders(arguments: argparse.Namespace) -> None:
    """Refuse a file that cannot be written before anything runs, not after.

    Raises:
        OptionError: its folder is not there.
    """
    for name in _FILES:
        path = getattr(arguments, name)
        if path is not None and not Path(path).resolve().parent.is_dir():
            raise OptionError(f"--{name} {path}: there is no such folder")


def _write(arguments: argparse.Namespace, reports: list[Report]) -> None:
    # What draws the reports is wanted only here, and importing it takes a moment.
    from simulators.report import documents, junit, page, terminal  # noqa: PLC0415  # the same

    options = _repeated(arguments)
    made: dict[str, Callable[[], str]] = {
        "json": lambda: documents.render(reports),
        "junit": lambda: junit.render(reports, options=options),
        "html": lambda: page.render(reports, options=options),
    }
    for name, make in made.items():
        path = getattr(arguments, name)
        if path is None:
            continue
        try:
            Path(path).write_text(make(), encoding="utf-8")
        except OSError as error:
            raise OptionError(f"--{name} {path}: {error.strerror or error}") from error
    _say(
        terminal.render(
            reports,
            width=shutil.get_terminal_size().columns,
            colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
            verbose=arguments.verbose,
            options=options,
        )
    )


def _repeated(arguments: argparse.Namespace) -> list[str]:
    """Return the words that must be typed again to repeat a check."""
    words: list[str] = []
    for name in ("config", "join", "leave", "broadcast", "path", "publish", "say"):
        value = getattr(arguments, name)
        if value is not None:
            words += [f"--{name}", value]
    if arguments.protocol != "auto":
        words += ["--protocol", arguments.protocol]
    return words


def _progress(name: str, count: int) -> Callable[[Result], None]:
    """Return what shows how far it is, on a terminal only."""
    # While checks run on sockets, what is printed is kept as the manager's.
    screen = sys.stderr
    if not screen.isatty():
        return lambda _: None
    done = 0

    def write(text: str) -> None:
        screen.write("\r\x1b[K" + text[: shutil.get_terminal_size().columns - 1])
        screen.flush()

    def show(result: Result) -> None:
        nonlocal done
        done += 1
        write("" if done == count else f"{name}: {done} of {count}, {result.check_id}")

    write(f"{name}: finding out how it is used")
    return show


def _complain(text: str) -> None:
    """Say what went wrong, in place of how far it is."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{clear}flock-ws: {text}\n")


def _listed(checks: Sequence[Check]) -> str:
    width = max(len(check.id) for check in checks)
    lines = []
    for check in checks:
        classes = " ".join(f"D{number}" for number in check.defects)
        lines.append(f"{check.id:{width}}  {check.level:6}  {classes}")
        lines += textwrap.wrap(check.title, 96, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines) + f"\n\n{len(checks)} of {len(CHECKS)} checks\n"


def _say(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
