import asyncio

from flock_ws.deadlines import Deadlines
from simulators import sim_test


class Watched:
    """Deadlines of one second, and what they said when."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.expired: list[tuple[str, float]] = []
        self.deadlines = Deadlines[str](
            self.loop, 1.0, lambda item: self.expired.append((item, self.loop.time()))
        )


@sim_test
async def test_each_item_expires_after_exactly_the_duration() -> None:
    watched = Watched()
    watched.deadlines.start("a")
    await asyncio.sleep(0.25)
    watched.deadlines.start("b")
    await asyncio.sleep(5)
    assert watched.expired == [("a", 1.0), ("b", 1.25)]


@sim_test
async def test_a_stopped_item_does_not_expire_and_the_next_one_still_does() -> None:
    watched = Watched()
    watched.deadlines.start("a")
    await asyncio.sleep(0.25)
    watched.deadlines.start("b")
    watched.deadlines.stop("a")
    await asyncio.sleep(5)
    assert watched.expired == [("b", 1.25)]


@sim_test
async def test_starting_again_begins_the_wait_anew() -> None:
    watched = Watched()
    watched.deadlines.start("a")
    await asyncio.sleep(0.75)
    watched.deadlines.start("a")
    await asyncio.sleep(5)
    assert watched.expired == [("a", 1.75)]


@sim_test
async def test_an_item_may_be_started_again_when_it_expires() -> None:
    loop = asyncio.get_running_loop()
    expired: list[float] = []

    def again(item: str) -> None:
        expired.append(loop.time())
        if len(expired) < 3:
            deadlines.start(item)

    deadlines = Deadlines[str](loop, 1.0, again)
    deadlines.start("a")
    await asyncio.sleep(10)
    assert expired == [1.0, 2.0, 3.0]


@sim_test
async def test_an_item_that_begins_anew_when_it_expires_does_not_hold_up_those_after_it() -> None:
    loop = asyncio.get_running_loop()
    expired: list[tuple[str, float]] = []

    def again(item: str) -> None:
        expired.append((item, loop.time()))
        if item == "a":
            deadlines.start(item)

    deadlines = Deadlines[str](loop, 1.0, again)
    deadlines.start("a")
    await asyncio.sleep(0.25)
    deadlines.start("b")
    await asyncio.sleep(1.5)
    assert expired == [("a", 1.0), ("b", 1.25)]


@sim_test
async def test_an_expiry_that_raises_keeps_no_other_item_from_its_own() -> None:
    loop = asyncio.get_running_loop()
    raised: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: raised.append(context))
    expired: list[str] = []

    def fail(item: str) -> None:
        expired.append(item)
        raise RuntimeError(item)

    deadlines = Deadlines[str](loop, 1.0, fail)
    deadlines.start("a")
    deadlines.start("b")
    await asyncio.sleep(1.5)
    assert (expired, len(raised)) == (["a", "b"], 2)


@sim_test
async def test_there_is_no_timer_while_nothing_waits() -> None:
    watched = Watched()
    watched.deadlines.start("a")
    watched.deadlines.start("b")
    watched.deadlines.clear()
    assert watched.deadlines._timer is None
    assert len(watched.deadlines) == 0
