import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from simulators.contract import watchdog
from simulators.contract.watchdog import TookTooLong


class Machine:
    """Hours that pass as a test says, and how many of them the thread had no core."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.without_core = 0.0
        monkeypatch.setattr(watchdog, "time", SimpleNamespace(perf_counter=lambda: self.now))
        monkeypatch.setattr(watchdog, "starved", lambda _: self.without_core)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize("standstill", [2.0, 60.0], ids=["standstill", "too long in all"])
def test_time_without_a_core_is_nobodys_fault(machine: Machine, standstill: float) -> None:
    patience = watchdog._Patience(standstill, most=2.0, progress=lambda: 0)
    machine.now, machine.without_core = 10.0, 8.1
    assert not patience.is_over()
    machine.now = 10.2
    assert patience.is_over()


def test_where_nothing_is_known_of_cores_real_time_counts(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "starved", lambda _: None)
    patience = watchdog._Patience(2.0, most=60.0, progress=lambda: 0)
    machine.now = 2.0
    assert patience.is_over()


def test_who_makes_progress_has_all_the_time_that_there_is(machine: Machine) -> None:
    steps = iter(range(100))
    patience = watchdog._Patience(2.0, most=60.0, progress=lambda: next(steps))
    for machine.now in (1.9, 3.8, 59.9):
        assert not patience.is_over()
    machine.now = 60.0
    assert patience.is_over()


def test_a_thread_that_is_not_the_main_one_is_judged_by_its_own_wait_for_a_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int | None] = []
    monkeypatch.setattr(watchdog, "starved", asked.append)

    def spin() -> None:
        while True:
            pass

    with ThreadPoolExecutor(1) as pool:
        watched = pool.submit(threading.get_native_id).result()
        assert isinstance(pool.submit(watchdog.watched, spin, 0.01).exception(), TookTooLong)
    assert set(asked) == {watched}


def test_work_that_ends_when_it_is_just_being_stopped_leaves_nobody_to_strike_again() -> None:
    def work(milliseconds: int) -> None:
        end = time.perf_counter() + milliseconds / 1e3
        while time.perf_counter() < end:
            pass

    def is_stopped(milliseconds: int) -> bool:
        try:
            watchdog.watched(functools.partial(work, milliseconds), 0.002)
        except TookTooLong:
            return True
        return False

    with ThreadPoolExecutor(1) as pool:
        tries = (pool.submit(is_stopped, 4 + number % 9) for number in range(90))
        stopped = [one.result(timeout=30) for one in tries]
        assert any(stopped)
        left = [thread for thread in threading.enumerate() if thread.name == "flock-ws watchdog"]
        for watcher in left:
            watcher.join(timeout=30)
        assert not any(watcher.is_alive() for watcher in left)
