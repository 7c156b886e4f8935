"""The doors for what hides its manager: `check_application` and `check_server`."""

import asyncio
import itertools
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from starlette.types import ASGIApp

from simulators.clock import SimLoop
from simulators.contract import payloads
from simulators.contract.applications import (
    Application,
    load_application,
    routes_with_a_body,
    websocket_path,
)
from simulators.contract.causes import PLACE, Cause, PublishFailed
from simulators.contract.elsewhere import ApplicationSite, ServerSite
from simulators.contract.examination import (
    against,
    expected_of,
    off_loop,
    telling,
    versions_of,
)
from simulators.contract.outside import HIDDEN, Endpoint, adapter_for
from simulators.contract.profile import Profile
from simulators.contract.quiet import quiet, virtual_clock
from simulators.contract.registry import Broken, Check, Unmet, select_checks
from simulators.contract.results import Report, Result
from simulators.contract.runner import Budget, result_of, run_bounded, run_check
from simulators.contract.samples import LIKELY, causes_of, likely_causes, sounds_like_it
from simulators.contract.serving import ServeFailed, why_not_served
from simulators.contract.signatures import AdapterError
from simulators.contract.sites import Site
from simulators.contract.socket_bench import SocketBench
from simulators.contract.streams import Stream, StreamSite, listen_to
from simulators.contract.tcp_runner import run_on_sockets
from simulators.contract.witness import Witness
from simulators.errors import SimulatorError
from simulators.tcp.handshake import ConnectFailed

__all__ = ["check_application", "check_server"]

_PROBE = 1.0
_LIMIT = 2.0
_EVENTS = 400
_APART = 100_000
_MORE = "more can be seen with what makes it broadcast: --say or --publish"
_NO_VIRTUAL = "it cannot run in virtual time ({why}): real sockets show what they can"


def check_application(
    application: str | Callable[[], ASGIApp],
    *,
    path: str | None = None,
    publish: str | None = None,
    say: str | None = None,
    profile: Profile | None = None,
    expected_failures: Mapping[str, str] | None = None,
    select: Iterable[str] | str | None = None,
    seed: int = 0,
    seeds: int = 3,
    sockets: bool = False,
    protocol: str = "auto",
    progress: Callable[[Result], object] | None = None,
) -> Report:
    """Check an ASGI application from outside: its manager is not touched, only its endpoints.

    In virtual time fakes join its WebSocket endpoint; where it does not run there (it uses
    threads, say), only real sockets are left. What cannot be seen from outside is not offered.

    Args:
        application: ``module:app``, ``module:create_app()``, or a function that makes one.
        path: of its WebSocket endpoint, where it has several.
        publish: the request that makes it broadcast, ``POST /api/events {"text": "{message}"}``.
        say: the message of a client that makes it broadcast, with ``{message}`` in it.
        profile: what it promises; the original's numbers by default.
        expected_failures: as for `check_manager`.
        select: the same.
        seed: the same.
        seeds: the same.
        sockets: the same.
        protocol: the same.
        progress: the same.

    Raises:
        AdapterError: it cannot be told where clients connect, or what makes it broadcast; the
            message has the line to add.
        OptionError: an option means nothing.
    """
    expected = expected_of(expected_failures)
    tell = telling(progress, expected)
    given = _given(publish, say)
    started = time.perf_counter()

    def work() -> Report:
        found = (
            load_application(application)
            if isinstance(application, str)
            else Application(getattr(application, "__name__", "the application"), application)
        )
        found = replace(found, path=path or websocket_path(found.make()))
        found, why_not_virtual = _find_cause(found, given, protocol=protocol)
        promised = _promised(profile or Profile())
        checks = select_checks(select, sockets=sockets or why_not_virtual is not None)
        results = [
            *_in_virtual_time(
                found,
                checks,
                why_not_virtual,
                profile=promised,
                seed=seed,
                seeds=seeds,
                tell=tell,
            ),
            *run_on_sockets(
                [check for check in checks if check.tier == "sockets"],
                lambda: ApplicationSite(found, protocol=protocol),
                profile=promised,
                seed=seed,
                progress=tell,
            ),
        ]
        taken = adapter_for(found).notes
        report = _report(found.name, taken, results, expected, profile=promised, seed=seed)
        return _timed(report, started)

    return off_loop(work)


def check_server(
    url: str,
    *,
    publish: str | None = None,
    say: str | None = None,
    profile: Profile | None = None,
    expected_failures: Mapping[str, str] | None = None,
    select: Iterable[str] | str | None = None,
    seed: int = 0,
    progress: Callable[[Result], object] | None = None,
) -> Report:
    """Check a server that runs elsewhere, by what its clients see. It takes real time.

    Up to 40 MB go over its connections, and its other clients get what is broadcast. Unless it is
    said what makes it broadcast, one client says a line of text and a JSON object, and it is
    looked whether another gets it; no HTTP request is ever made that was not asked for. A server
    whose clients cannot make it broadcast is listened to: what it publishes by itself, and two
    clients get, stands for what would be broadcast.

    Args:
        url: ``ws://`` or ``wss://``, of its WebSocket endpoint.
        publish: as for `check_application`; the path is taken from the root of the same server.
        say: the same.
        profile: the same.
        expected_failures: the same.
        select: the same; only the checks on real sockets are made.
        seed: goes into the report.
        progress: the same.

    Raises:
        AdapterError: it cannot be told what makes it broadcast; the message has the line to add.
        SimulatorError: nobody answers there.
    """
    expected = expected_of(expected_failures)
    tell = telling(progress, expected)
    given = _given(publish, say)
    started = time.perf_counter()

    def work() -> Report:
        cause = _cause_of(url, given)
        promised = _promised(profile or Profile(), by_itself=isinstance(cause, Stream))
        offsets = itertools.count(_APART, _APART)

        def make_site() -> Site:
            if isinstance(cause, Stream):
                return StreamSite(url, cause)
            return ServerSite(url, cause=cause, offset=next(offsets))

        checks = [one for one in select_checks(select, sockets=True) if one.tier == "sockets"]
        # What is published waits for nobody's turn: those that stall clients stall them together.
        first = 1 if isinstance(cause, Stream) else len(checks)
        results = [
            result
            for some, together in ((checks[:first], 1), (checks[first:], len(checks)))
            for result in run_on_sockets(
                some,
                make_site,
                profile=promised,
                seed=seed,
                together=together,
                progress=tell,
            )
        ]
        taken = [f"clients connect to: {url}", f"an event is caused by: {cause}"]
        if isinstance(cause, Stream):
            taken.append(_MORE)
        report = _report(url, taken, results, expected, profile=promised, seed=seed)
        return _timed(report, started)

    return off_loop(work)


def _cause_of(url: str, given: Cause | None) -> Cause | Stream:
    """Find what makes a server broadcast: what was said, what a client says, or nobody.

    Raises:
        AdapterError: it cannot be told.
    """
    tried = []
    for cause in [given] if given is not None else likely_causes():
        why = asyncio.run(_probe_site(ServerSite(url, cause=cause)))
        if why is None:
            return cause
        tried.append(_tried(cause, why))
        if given is not None:
            raise AdapterError(_mistaken(url, cause, why))
    heard = asyncio.run(listen_to(url))
    if isinstance(heard, Stream):
        return heard
    raise AdapterError(_asks(url, [*tried, heard], routes=()))


def _given(publish: str | None, say: str | None) -> Cause | None:
    if publish is not None:
        return Cause.publish(publish)
    return None if say is None else Cause.say(say)


def _promised(profile: Profile, *, by_itself: bool = False) -> Profile:
    """Return what can be promised to somebody outside.

    Two requests, or two clients that speak, have no order, as what a server publishes by itself
    has; and nobody is told of a delivery.
    """
    order = profile.order if by_itself else "none"
    return replace(profile, on_return="nothing", order=order)


def _report(
    name: str,
    taken: Iterable[str],
    results: Iterable[Result],
    expected: Mapping[str, str],
    *,
    profile: Profile,
    seed: int,
) -> Report:
    return Report(
        manager=name,
        adapter="\n".join(taken),
        profile=profile.as_dict(),
        results=tuple(against(result, expected.get(result.check_id)) for result in results),
        seed=seed,
        versions=versions_of(),
    )


def _timed(report: Report, started: float) -> Report:
    """Note how long it took."""
    return replace(report, elapsed=round(time.perf_counter() - started, 3))


def _in_virtual_time(
    application: Application,
    checks: Iterable[Check],
    why_not: str | None,
    *,
    profile: Profile,
    seed: int,
    seeds: int,
    tell: Callable[[Result], object],
) -> list[Result]:
    adapter = adapter_for(application)
    budget = Budget()
    results = []
    for check in (check for check in checks if check.tier == "virtual"):
        reason = why_not or HIDDEN.get(check.id)
        # Each event goes through a whole application, and each client that speaks hears it.
        fewer = {name: (min(most, _EVENTS), least) for name, (most, least) in check.sizes.items()}
        results.append(
            run_check(
                replace(check, sizes=fewer),
                adapter,
                profile=profile,
                seed=seed,
                seeds=seeds,
                budget=budget,
            )
            if reason is None
            else result_of(check, "not_offered", reason, seed=seed)
        )
        tell(results[-1])
    return results


# What makes it broadcast.


def _find_cause(
    application: Application, given: Cause | None, *, protocol: str
) -> tuple[Application, str | None]:
    """Find what makes an application broadcast, and why it does not run in virtual time."""
    app = application.make()
    causes = [given] if given is not None else [*likely_causes(), *_requests(app)]
    tried: list[str] = []
    virtual: dict[str, str] = {}
    why: str | None = None
    for cause in causes:
        candidate = replace(application, cause=cause)
        why = _probe_virtually(candidate)
        if why is None:
            return candidate, None
        virtual[str(cause)] = why
    if why_not_served() is None:
        for cause in causes:
            candidate = replace(application, cause=cause)
            why = asyncio.run(_probe_site(ApplicationSite(candidate, protocol=protocol)))
            if why is None:
                return candidate, _NO_VIRTUAL.format(why=virtual[str(cause)])
            tried.append(_tried(cause, why))
    if given is not None:
        raise AdapterError(_mistaken(application.name, given, why or ""))
    tried = tried or [_tried(cause, virtual[str(cause)]) for cause in causes]
    raise AdapterError(_asks(application.name, tried, routes=routes_with_a_body(app)))


def _requests(app: Any) -> list[Cause]:
    """Return the requests that may publish: from its OpenAPI schema, or from its routes."""
    schema = getattr(app, "openapi", None)
    if callable(schema):
        found = schema()
        return causes_of(found) if isinstance(found, dict) else []
    return [
        Cause(kind="publish", template=LIKELY, method=method, path=path)
        for method, path in routes_with_a_body(app)
        if sounds_like_it(path)
    ]


def _probe_virtually(application: Application) -> str | None:
    """Return why an event did not reach a client, in virtual time; None when it did."""
    loop = SimLoop(max_steps=200_000)

    async def probe() -> str | None:
        endpoint = Endpoint(application)
        client = Witness(name="probe", accepted=False)
        await endpoint.connect(client)
        await endpoint.broadcast(payloads.mark(1))
        await asyncio.sleep(_PROBE)
        got = any(payloads.number_of(message) == 1 for message, _ in client.received)
        return None if got else "it reached no client"

    with quiet(loop.time):
        loop.set_exception_handler(lambda *_: None)
        try:
            with virtual_clock(loop):
                why, error = run_bounded(loop, probe(), limit=_LIMIT)
        finally:
            loop.close()
    return f"{type(error).__name__}: {error}" if error is not None else why


async def _probe_site(site: Site) -> str | None:
    """Return why an event did not reach a client, on real sockets; None when it did."""
    bench = SocketBench(site, profile=Profile())
    try:
        client = await bench.visit()
        await bench.wait(bench.broadcast_soon(1))
        got = await bench.until_counted(client, 1, within=_PROBE)
    except (PublishFailed, Broken, Unmet, ServeFailed) as error:
        if isinstance(error.__cause__, ConnectFailed) and site.server is None:
            raise SimulatorError(str(error.__cause__)) from error
        return str(error)
    finally:
        await bench.end()
    if got:
        return None
    return bench.raised[0] if bench.raised else "it reached no client"


def _asks(name: str, tried: Iterable[str], *, routes: Iterable[tuple[str, str]]) -> str:
    shown = "".join(f"\n  {one}" for one in tried)
    bodies = ", ".join(f"{method} {path}" for method, path in routes)
    there = f"\n  it takes {bodies}" if bodies else ""
    method, path = next(iter(routes), ("POST", "/api/events"))
    return (
        f"{name}: it cannot be told what makes it broadcast to all its clients.{shown}{there}\n"
        f'  add the request: --publish \'{method} {path} {{"text": "{PLACE}"}}\'\n'
        f"  or what a client says: --say '{PLACE}'"
    )


def _mistaken(name: str, cause: Cause, why: str) -> str:
    return (
        f"{name}: no client was reached by {cause}: {why}; look at the path, at what it takes, and "
        "whether clients connect to the right endpoint (--path)"
    )


def _tried(cause: Cause, why: str) -> str:
    return f"tried {textwrap.shorten(str(cause), 60, placeholder=' …')}: {why}"
