"""One server and its clients, each in a process of its own, and what a phase between them cost."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

__all__ = ["Pair", "Spoiled", "pair"]

_HERE = Path(__file__).resolve().parent


class Spoiled(Exception):  # noqa: N818 # it says what became of the measurement
    """A measurement that means nothing: something was lost, or took too long."""


class _Process:
    """A process that answers a line with a line of JSON."""

    def __init__(self, command: Sequence[str], *, cwd: Path | None = None) -> None:
        self._command = " ".join(command)
        self._process = subprocess.Popen(  # noqa: S603 # our own scripts
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=cwd,
            # Ctrl-C is for the benchmark, which ends them.
            start_new_session=True,
        )

    def read(self) -> dict[str, Any]:
        """Return the next line."""
        assert self._process.stdout is not None  # noqa: S101 # it was asked for
        line = self._process.stdout.readline()
        if not line:
            raise Spoiled(f"{self._command} ended with code {self._process.wait(10)}")
        return dict(json.loads(line))

    def ask(self, command: str) -> dict[str, Any]:
        """Send a line and return the answer."""
        assert self._process.stdin is not None  # noqa: S101 # it was asked for
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self.read()

    def end(self) -> None:
        """Kill it: nothing that it holds is wanted."""
        self._process.kill()
        self._process.wait(timeout=10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Pair:
    """A server with its clients connected.

    Args:
        server: its command.
        clients: how many read.
        stalled: how many more do not.
        socketio: whether they speak Socket.IO.
        deflate: whether they offer compression.
        cwd: where the server's command is run.
    """

    def __init__(
        self,
        server: Sequence[str],
        *,
        clients: int,
        stalled: int = 0,
        socketio: bool = False,
        deflate: bool = False,
        cwd: Path | None = None,
    ) -> None:
        self.clients = clients
        self._server = _Process(server, cwd=cwd)
        self._readers: _Process | None = None
        try:
            port = self._server.read()["port"]
            self.before = self.usage()
            options = ["--port", port, "--clients", clients, "--stalled", stalled]
            self._readers = _Process(
                [
                    *(sys.executable, str(_HERE / "readers.py"), *map(str, options)),
                    *(["--socketio"] if socketio else []),
                    *(["--deflate"] if deflate else []),
                ]
            )
            self._wait_joined(clients + stalled)
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End both."""
        self.end()

    def end(self) -> None:
        """Kill the server, then the clients."""
        self._server.end()
        if self._readers is not None:
            self._readers.end()

    def _wait_joined(self, count: int) -> None:
        deadline = time.monotonic() + 30 + count / 100
        while (here := self.usage()["clients"]) < count:
            if time.monotonic() > deadline:
                raise Spoiled(f"only {here} of {count} clients have joined")
            time.sleep(0.05)

    def usage(self) -> dict[str, Any]:
        """Return what the server has used so far, and who is there."""
        return self._server.ask('{"do": "usage"}')

    def published(self, **order: Any) -> tuple[float, float]:
        """Let the server publish, each event awaited, without looking into what the readers get.

        Returns:
            For each delivery: µs of CPU of the server process until the last event was accepted
            for the last client, and bytes that the readers got.
        """
        assert self._readers is not None  # noqa: S101 # made with it
        before = self._readers.ask("report")["bytes"]
        answer = self._server.ask(json.dumps({"do": "publish", "burst": 1, **order}))
        seen, known = self._readers.ask("report")["bytes"], -1
        while seen != known:  # until nothing more comes
            time.sleep(0.2)
            known, seen = seen, self._readers.ask("report")["bytes"]
        deliveries = order["events"] * self.clients
        return (answer["cpu_after"] - answer["cpu"]) / deliveries * 1e6, (
            seen - before
        ) / deliveries

    def lateness(self) -> dict[str, float]:
        """Return how late the events came at the readers, in quantiles of seconds."""
        assert self._readers is not None  # noqa: S101 # made with it
        return self._readers.ask("lateness")

    def run(self, *, limit: float = 60.0, **order: Any) -> dict[str, float]:
        """Let the server publish, wait until all readers have everything, and say what it cost.

        Returns:
            `cpu` and `wall`, µs for each delivery: of the server process until the last reader had
            the last event, and from the first publication until then; `pings`, which the readers
            answered meanwhile; and what the server told beside that.

        Raises:
            Spoiled: a reader missed something, or it took longer than `limit` seconds.
        """
        assert self._readers is not None  # noqa: S101 # made with it
        report = self._readers.ask("report")
        before, pings = report["received"], report["pings"]
        self._readers.ask("forget")
        began = self._server.ask(json.dumps(order))
        told = {str(key): began[key] for key in ("late", "stretch") if key in began}
        expected = order["events"] * self.clients
        deadline = time.monotonic() + limit
        while (seen := self._readers.ask("report"))["received"] - before < expected:
            if time.monotonic() > deadline:
                missing = expected - seen["received"] + before
                raise Spoiled(f"{missing} of {expected} deliveries did not come: {self.usage()}")
            time.sleep(0.01)
        used = self.usage()["cpu"] - began["cpu"]
        wall = seen["last"] - began["began"]
        told["pings"] = seen["pings"] - pings
        return {"cpu": used / expected * 1e6, "wall": wall / expected * 1e6, **told}


@contextlib.contextmanager
def pair(
    contestant: str,
    *,
    clients: int,
    stalled: int = 0,
    loop: str = "asyncio",
    node: Path | None = None,
    **options: Any,
) -> Iterator[Pair]:
    """Start a contestant and its clients.

    Args:
        contestant: its name in `contestants.CONTESTANTS`, or `node`.
        clients: how many read.
        stalled: how many more do not.
        loop: of the Python ones.
        node: where the package `ws` is installed.
        **options: of the command line of `serving.py`.
    """
    if contestant == "node":
        assert node is not None  # noqa: S101 # who asks for it has installed it
        command = ["node", str(node / "broadcast.js")]
    else:
        command = [sys.executable, str(_HERE / "serving.py"), contestant, "--loop", loop]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
    with Pair(
        command,
        clients=clients,
        stalled=stalled,
        socketio=contestant == "socketio",
        deflate=contestant.endswith("deflate"),
        cwd=node,
    ) as both:
        yield both
