import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from loadtests.catalogue import built_in
from loadtests.engine import Engine
from loadtests.kinds import KINDS
from loadtests.members import Member
from loadtests.plan import Plan
from loadtests.record import ClientRecord

RUN = "the-run"


class Bench:
    """An engine against a small server on real sockets."""

    @staticmethod
    def event(sequence: int, *, run_id: str = RUN) -> str:
        stamp = datetime.now(UTC).isoformat()
        return json.dumps({"run_id": run_id, "sequence": sequence, "timestamp": stamp})

    @staticmethod
    def sending(*messages: str) -> Callable[[ServerConnection], None]:
        def handler(connection: ServerConnection) -> None:
            for message in messages:
                connection.send(message)

        return handler

    @staticmethod
    @contextmanager
    def server(handler: Callable[[ServerConnection], None], **options: Any) -> Iterator[str]:
        """Serve every connection with `handler`, then keep it open until the client leaves."""

        def serve_one(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                handler(connection)
                while True:
                    connection.recv()

        with serve(serve_one, "127.0.0.1", 0, **options) as listening:
            thread = threading.Thread(target=listening.serve_forever)
            thread.start()
            try:
                yield f"ws://127.0.0.1:{listening.socket.getsockname()[1]}/ws"
            finally:
                listening.shutdown()
                thread.join()

    @staticmethod
    @contextmanager
    def engine(url: str, *, run_id: str | None = RUN, **options: Any) -> Iterator[Engine]:
        plan = Plan(scenario=built_in("storm"), url=url, run_id=run_id, **options)

        def start_thread(function: Callable[[], None]) -> None:
            threading.Thread(target=function).start()

        running = Engine(plan, start_thread=start_thread)
        running.start()
        try:
            yield running
        finally:
            running.stop()

    @staticmethod
    def connected(
        running: Engine,
        kind: str = "viewer",
        *,
        turns: float = 0.0,
        leaves: float | None = None,
        **changes: Any,
    ) -> Member:
        """Connect a member of this kind, which turns so many seconds from now."""
        options, now = KINDS[kind].complete(changes), time.monotonic()
        member = Member(
            f"{kind}-1",
            kind,
            kind=kind,
            options=options,
            behaviour=KINDS[kind].behaviour(options, turns),
            turns_at=now + turns,
            leaves_at=None if leaves is None else now + leaves,
        )
        running.connect(member)
        return member

    @staticmethod
    def when(
        running: Engine, seen: Callable[[ClientRecord], bool], patience: float
    ) -> ClientRecord:
        """Return the record of the only client once it satisfies `seen`."""
        deadline = time.monotonic() + patience
        while not seen(client := running.results().clients[0]):
            assert time.monotonic() < deadline, client
            time.sleep(0.01)
        return client


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    """What tests of the engine need."""
    return Bench
