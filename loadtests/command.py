"""``flock-ws load``: the command line of load tests."""

import argparse
import shlex
import sys
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from loadtests import access, bounds, catalogue, generator, papers, web
from loadtests.board import Board
from loadtests.errors import LoadTestError
from loadtests.interrupts import Interrupts
from loadtests.live import Progress
from loadtests.metrics import METRICS
from loadtests.output import check_writable, save
from loadtests.record import Record
from loadtests.report import documents, page
from loadtests.report.documents import Run
from loadtests.run import Begun, execute
from loadtests.scenario import Scenario
from loadtests.terminal import Terminal
from loadtests.thresholds import merged
from loadtests.verdict import Judgement, judge

__all__ = ["add_arguments", "run"]

_PAUSE = 0.2
_COHORTS = ("healthy", "slow", "stalled", "dead")

_EPILOG = """\
exit codes:
  0  every promise was kept
  1  a promise was broken; the last line says which
  2  wrong usage, or the server is not there
  3  the run could not tell: too short, interrupted, or slowed by the generator

examples:
  flock-ws load
      the reference server in a process of its own
  flock-ws load --scenario eviction --threshold 'evicted.stalled.max < 5'
      each fault alone, with a limit of your own
  flock-ws load --manager yourapp.ws:ConnectionManager
      your manager in the reference application
  flock-ws load ws://127.0.0.1:8000/ws --duration 60
      a server that is there already, as far as it can be judged from outside
"""


class _Suggested(tuple[str, ...]):
    """Words that a shell offers; any other is taken, too, and judged by who knows more of it."""

    __slots__ = ()

    def __contains__(self, word: object) -> bool:
        return True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``flock-ws load``."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add(
        "url",
        nargs="?",
        metavar="URL",
        help="ws://host:port/path of a server that is there already [one is started]",
    )
    add(
        "--scenario",
        default="storm",
        choices=_Suggested(catalogue.BUILT_IN),
        metavar="NAME|FILE",
        help="one of --list, or the path of your own .toml file [%(default)s]",
    )
    add("--list", action="store_true", help="list the scenarios and what each proves")
    add(
        "--show",
        choices=_Suggested(catalogue.BUILT_IN),
        metavar="NAME",
        help="print the file of a scenario, to copy and change",
    )
    add("--list-metrics", action="store_true", help="list what a threshold can ask for")
    add(
        "--threshold",
        action="append",
        default=[],
        metavar="EXPR",
        help="what must hold, like 'healthy.latency.p99 < 0.1'; takes the place of the scenario's"
        " own on the same metric; may be repeated",
    )
    add(
        "--manager",
        metavar="MODULE:FACTORY",
        help="the manager of the started server [the reference]",
    )
    add(
        "--app",
        metavar="MODULE:APP",
        help="the ASGI application of the started server, or the function that makes it",
    )
    add("--path", default="/ws", help="its WebSocket endpoint [%(default)s]")
    add(
        "--duration",
        type=float,
        metavar="SECONDS",
        help="how long events are published; about 8 s for the start and the end come on top",
    )
    add(
        "--clients",
        action="append",
        default=[],
        metavar="COHORT=N",
        help="how many clients a cohort has; may be repeated",
    )
    for cohort in _COHORTS:
        add(f"--{cohort}", type=int, metavar="N", help=f"the same as --clients {cohort}=N")
    add("--rate", type=float, metavar="PER_SECOND", help="events published each second")
    add("--size", type=int, metavar="BYTES", help="bytes of one event")
    add(
        "--no-publish",
        action="store_true",
        help="only listen: judge what somebody else publishes",
    )
    add(
        "--output",
        type=Path,
        default=Path("run.json"),
        metavar="FILE",
        help="where the record of the run is written [%(default)s]",
    )
    add(
        "--web",
        type=int,
        nargs="?",
        const=0,
        metavar="PORT",
        help="start and watch it in locust's web UI on this machine, with charts [any free port]",
    )
    papers.add_arguments(parser)
    access.add_arguments(parser)
    generator.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run ``flock-ws load`` and return its exit code.

    Raises:
        LoadTestError: it cannot be run as asked.
        KeyboardInterrupt: Ctrl-C before the run had begun.
    """
    terminal = Terminal()
    if arguments.list:
        terminal.scenarios(catalogue.built_in(name) for name in catalogue.BUILT_IN)
        return 0
    if arguments.list_metrics:
        terminal.metrics(METRICS)
        return 0
    if arguments.show is not None:
        sys.stdout.write(catalogue.text(arguments.show))
        return 0
    if arguments.join is not None:
        generator.work_for(arguments.join)
    _check(arguments)
    scenario = _scenario(arguments)
    check_writable(arguments.output)
    papers.check(arguments)
    judgements: list[Judgement] = []
    with Interrupts() as interrupts, ExitStack() as stack:
        board = None
        if arguments.web is not None:
            board = stack.enter_context(closing(Board(_folder(stack), port=arguments.web)))
        watching = stack.enter_context(ExitStack())

        def begun(begun: Begun) -> None:
            terminal.begun(begun)
            if board is not None:
                terminal.say(f"web: start it at {board.url}, watch it at {board.url}{web.PAGE}\n")
            watching.enter_context(terminal.watching(scenario))

        def progress(progress: Progress) -> None:
            terminal.progress(progress)
            if board is not None:
                board.progress(progress)

        def conclude(record: Record) -> None:
            watching.close()
            done = Run(record, judge(record))
            judgements.append(done.judgement)
            _conclude(terminal, arguments, done)
            if board is not None:
                board.finish(done.judgement.line, html=page.render([done]))
                if not interrupts.count:
                    terminal.say(f"web: {board.url}{web.REPORT} until Ctrl-C")
                    _wait_for(interrupts)

        execute(
            scenario,
            url=arguments.url,
            manager=arguments.manager,
            app=arguments.app,
            path=arguments.path,
            access=access.Access.of(arguments),
            crew=generator.Crew.of(arguments),
            interrupts=interrupts,
            publish=not arguments.no_publish,
            command=_command(),
            on_begun=begun,
            on_progress=progress,
            on_record=conclude,
            board=board,
        )
    return judgements[0].exit_code


def _conclude(terminal: Terminal, arguments: argparse.Namespace, done: Run) -> None:
    terminal.judgement(done.judgement)
    save(arguments.output, documents.render(done))
    terminal.say(f"record: {arguments.output}", style="dim")
    for _, path in papers.write(arguments, [done]):
        terminal.say(f"report: {path}", style="dim")


def _wait_for(interrupts: Interrupts) -> None:
    """Wait for a signal; which of them ends a run plays no part any more."""
    with suppress(KeyboardInterrupt):
        while not interrupts.count:
            time.sleep(_PAUSE)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if arguments.url is not None and arguments.manager is not None:
        raise LoadTestError("--manager is for a server started here: leave out the URL")
    if arguments.app is not None and (arguments.url or arguments.manager) is not None:
        other = "the URL" if arguments.url is not None else "--manager"
        raise LoadTestError(f"--app is a server started here: leave out {other}")
    if not arguments.path.startswith("/"):
        raise LoadTestError(f"--path begins with a slash, and this is {arguments.path!r}")
    if arguments.remote_workers and arguments.url is None:
        raise LoadTestError("--remote-workers needs the URL of a server that they can reach too")
    if arguments.no_publish and arguments.url is None:
        raise LoadTestError("--no-publish needs the URL of a server where somebody publishes")


def _folder(stack: ExitStack) -> Path:
    try:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flock-board-")))
    except OSError as error:
        reason = error.strerror or error
        raise LoadTestError(
            f"--web needs a temporary folder: {reason}; let TMPDIR name one with room"
        ) from None


def _scenario(arguments: argparse.Namespace) -> Scenario:
    scenario = catalogue.find(arguments.scenario)
    clients = {name: getattr(arguments, name) for name in _COHORTS}
    counts = {name: count for name, count in clients.items() if count is not None}
    for text in arguments.clients:
        name, equals, number = text.partition("=")
        if not equals or not number.strip().isdecimal():
            raise LoadTestError(f"--clients takes COHORT=N, like healthy=100, not {text!r}")
        counts[name.strip()] = int(number)
    scenario = scenario.changed(
        clients=counts,
        duration=arguments.duration,
        rate=arguments.rate,
        size_bytes=arguments.size,
        thresholds=merged(scenario.thresholds, tuple(arguments.threshold)),
    )
    bounds.check(scenario)
    return scenario


def _command() -> str:
    words = sys.argv[1:]
    words = access.without_secrets(words) if words[:1] == ["load"] else ["load"]
    return shlex.join(["flock-ws", *words])
