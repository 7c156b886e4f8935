"""Whatever a manager does, a check ends with a verdict."""

import asyncio
import contextlib
import dataclasses
import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from flock_ws import WebSocketManager
from simulators.contract import CHECKS, adapt, check_manager, check_one, examination
from simulators.errors import OptionError

pytestmark = pytest.mark.usefixtures("spared")


class Manager:
    """Sends to one after the other."""

    def __init__(self) -> None:
        self.clients: list[Any] = []

    async def add_client(self, websocket: Any) -> None:
        self.clients.append(websocket)

    async def remove_client(self, websocket: Any) -> None:
        if websocket in self.clients:
            self.clients.remove(websocket)

    async def broadcast(self, message: str) -> None:
        await self.misbehave()
        for client in self.clients:
            await client.send_text(message)

    async def misbehave(self) -> None:
        """Do something that nobody should."""


class Hangs(Manager):
    async def misbehave(self) -> None:
        await asyncio.Event().wait()


class Spins(Manager):
    async def misbehave(self) -> None:
        while True:
            pass


class SpinsPolitely(Manager):
    async def misbehave(self) -> None:
        while True:  # noqa: ASYNC110  # the mistake
            await asyncio.sleep(0)


class Blocks(Manager):
    async def misbehave(self) -> None:
        threading.Event().wait()


class Exits(Manager):
    async def misbehave(self) -> None:
        raise SystemExit(3)


class Interrupts(Manager):
    async def misbehave(self) -> None:
        raise KeyboardInterrupt


class HangsInATask(Manager):
    """Leaves a task that will not be cancelled."""

    async def misbehave(self) -> None:
        self.task = asyncio.ensure_future(self.stay())
        await asyncio.Event().wait()

    async def stay(self) -> None:
        while True:
            with contextlib.suppress(BaseException):
                await asyncio.sleep(1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take less real time for a standstill: who spins uses all of it."""
    monkeypatch.setattr(examination, "_DETECTION", 0.4)
    check = CHECKS["delivery.text_frames"]
    monkeypatch.setitem(CHECKS, check.id, dataclasses.replace(check, limit=0.4, steps=20_000))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Hangs, "had not returned after 60 s: it waits at "),
        (HangsInATask, "had not returned after 60 s: it waits at "),
        (Spins, "blocks the whole thread, or computes without end at "),
        (Blocks, "blocks the whole thread, or computes without end at "),
        (SpinsPolitely, "it never ends"),
        (Exits, "it raised SystemExit: 3, which would end the server"),
        (Interrupts, "it raised KeyboardInterrupt, which would end the server"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_manager_that_does_not_let_go_fails_its_check(kind: Callable[[], Any], why: str) -> None:
    result = check_one("delivery.text_frames", kind)
    assert result.verdict == "fail"
    assert why in result.message


@pytest.mark.usefixtures("impatient")
def test_a_thread_that_spins_is_stopped_outside_the_main_thread() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(check_one("delivery.text_frames", Spins)))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert found[0].verdict == "fail"


def test_sleeping_on_the_loop_costs_no_real_time_and_is_found() -> None:
    class Sleeps(Manager):
        async def misbehave(self) -> None:
            time.sleep(3_600)  # noqa: ASYNC251  # the mistake

    result = check_one("delivery.thread_is_not_blocked", Sleeps)
    assert result.verdict == "fail"
    assert "time.sleep was called" in result.message


def test_a_check_whose_fault_never_took_place_is_unknown() -> None:
    class SendsNothing(Manager):
        async def broadcast(self, message: str) -> None: ...

    result = check_one("evict.slow_client_is_out", SendsNothing)
    assert (result.verdict, result.message) == (
        "unknown",
        "no send to a client that does not read waited",
    )


def test_a_promise_that_is_not_made_is_not_offered() -> None:
    assert check_one("heartbeat.rhythm", Manager).verdict == "not_offered"


def test_a_failure_shrinks_to_the_fewest_that_show_it_and_names_its_seed() -> None:
    class Reverses(Manager):
        """Sends the second of two concurrent events first."""

        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        async def misbehave(self) -> None:
            self.calls += 1
            if self.calls % 2:
                await asyncio.sleep(0.3)

    result = check_one("delivery.order", Reverses, seed=7)
    assert result.verdict == "fail"
    assert "[1 client, 2 events; seed 7]" in result.message
    assert result.seed == 7
    assert result.evidence is not None
    assert len(result.evidence.ticks) == 2


def test_the_same_seed_gives_the_same_report() -> None:
    def report() -> dict[str, Any]:
        return {
            **check_manager(Manager, select="delivery.o*,evict", seed=3).as_dict(),
            "elapsed": 0,
        }

    assert report() == report()


def test_it_can_be_called_while_a_loop_runs() -> None:
    async def main() -> str:
        return check_manager(Manager, select="delivery.text_frames").verdict

    assert asyncio.run(main()) == "pass"


def test_an_expected_failure_does_not_count() -> None:
    reason = {"delivery.send_deadline": "known"}
    report = check_manager(Manager, select="delivery.send_deadline", expected_failures=reason)
    (result,) = report.results
    assert (report.verdict, result.verdict, result.expected) == ("pass", "fail", "known")


def test_an_expected_failure_that_passes_fails() -> None:
    reason = {"delivery.text_frames": "known"}
    report = check_manager(Manager, select="delivery.text_frames", expected_failures=reason)
    (result,) = report.results
    assert (report.verdict, result.verdict, result.stale) == ("fail", "fail", True)
    assert "take it from the expected failures" in result.message


@pytest.mark.parametrize(
    ("expected", "complaint"),
    [
        ({"delivery.ordre": "why"}, "did you mean 'delivery.order'"),
        ({"delivery.order": " "}, "delivery.order needs a reason"),
    ],
)
def test_an_expected_failure_needs_a_check_and_a_reason(
    expected: dict[str, str], complaint: str
) -> None:
    with pytest.raises(OptionError, match=complaint):
        check_manager(Manager, expected_failures=expected)


def test_a_factory_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="a factory must be callable"):
        check_manager(3)  # type: ignore[arg-type]  # the mistake


STUBBORN = """
from simulators.contract import watchdog

def spin():
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

watchdog._AGAIN = 0.005
watchdog.watched(spin, 0.02)
"""


def test_what_nobody_can_stop_is_at_least_said_aloud() -> None:
    with subprocess.Popen(  # noqa: S603  # our own interpreter and text
        [sys.executable, "-c", STUBBORN], stderr=subprocess.PIPE, text=True
    ) as spinning:
        assert spinning.stderr is not None
        line = spinning.stderr.readline()
        spinning.kill()
    assert "computes without end and catches whatever stops it" in line


class PingsInPlainText(Manager):
    def __init__(self, ping_interval: float = 30.0) -> None:
        super().__init__()
        self._interval = ping_interval
        self._beating: asyncio.Task[None] | None = None

    async def add_client(self, websocket: Any) -> None:
        await super().add_client(websocket)
        self._beating = self._beating or asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            for client in list(self.clients):
                await client.send_text("ping")


def test_pings_of_another_form_break_the_form_and_nothing_else() -> None:
    chosen = ["heartbeat.form", "heartbeat.rhythm", "heartbeat.one_task"]
    report = check_manager(PingsInPlainText, select=chosen)
    assert [result.verdict for result in report.results] == ["fail", "pass", "pass"]
    assert "say in the profile what yours is: ping" in report.result("heartbeat.form").mend


class Collects(WebSocketManager):
    async def broadcast(self, event: Any) -> Any:
        gc.collect()
        return await super().broadcast(event)


class LateWords:
    """Garbage that an earlier manager left behind."""

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        for _ in range(30):
            logging.getLogger("earlier").warning("what an earlier manager says as it is freed")


def test_what_an_earlier_manager_says_as_it_is_freed_is_not_held_against_the_next() -> None:
    adapter = adapt(Collects)
    LateWords()
    result = check_one("diagnosis.one_line_an_eviction", Collects, adapter=adapter)
    assert result.verdict == "pass", result.message
