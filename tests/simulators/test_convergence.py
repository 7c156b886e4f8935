"""A random subset of faults for each seed, then healed: the reference converges."""

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from simulators.errors import NotSeen
from simulators.hardships import Endured, Hardship
from simulators.runs import simulate
from simulators.swarm import Swarm

_SEEDS = 60


def _benchmark() -> Any:
    """Load benchmarks/seeds.py, which runs a thousand of these."""
    folder = str(Path(__file__).parents[2] / "benchmarks")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("seeds")


survive = _benchmark().survive


@pytest.mark.parametrize("seed", range(_SEEDS))
def test_the_reference_converges_after_any_hardship(seed: int) -> None:
    complaints = survive(seed)
    told = Hardship.drawn(seed).describe()
    again = f"python benchmarks/seeds.py --first {seed} --seeds 1 --tell"
    assert not complaints, "\n".join([*complaints, told, again])


def test_a_hardship_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert Hardship.drawn(3) == Hardship.drawn(3) != Hardship.drawn(4)


def test_the_seeds_of_the_suite_meet_most_faults() -> None:
    met = {
        fault.kind
        for seed in range(_SEEDS)
        for hardship in [Hardship.drawn(seed)]
        for fault in (
            *hardship.population,
            *(fault for behaviour in hardship.behaviours for fault in behaviour.faults),
        )
    }
    assert len(met) >= 35


class Reordering:
    """Hands each send to a task of its own: what asyncio happens to run first goes out first."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()
        self.sending: set[asyncio.Task[None]] = set()

    async def add_client(self, client: Any) -> None:
        self.clients.add(client)

    async def remove_client(self, client: Any) -> None:
        self.clients.discard(client)

    async def broadcast(self, event: Any) -> None:
        text = event.model_dump_json()
        for client in list(self.clients):
            task = asyncio.create_task(client.send_text(text))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)


_CALM = Hardship(
    seed=0,
    wire=Hardship.drawn(0).wire,
    behaviours=Hardship.drawn(0, healthy=3).behaviours[:3],
    population=(),
    gaps=(0.0,) * 5,
    size_bytes=250,
    cancelled=frozenset(),
)


def _endured(seed: int, *, interleaving: Any) -> Endured:
    async def main() -> Endured:
        return await _CALM.endure(Reordering())

    return simulate(main, seed=seed, interleaving=interleaving)


def test_a_planted_fault_of_order_is_found_by_seeds_and_its_seed_repeats_it() -> None:
    assert not _endured(0, interleaving="fifo").complaints(), "asyncio's own order hides it"
    found = next(seed for seed in range(20) if _endured(seed, interleaving="random").complaints())
    first, again = (_endured(found, interleaving="random") for _ in range(2))
    assert any("right after event" in complaint for complaint in first.complaints())
    assert first.complaints() == again.complaints()
    orders = [[client.messages for client in endured.swarm] for endured in (first, again)]
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    ("had", "complaint"),
    [
        (["a", "c"], "had event 2 right after event 0"),
        (["b", "a"], "had event 0 right after event 1"),
        (["a", "a"], "had event 0 right after event 0"),
        (["a", "b"], "lives and had the last event [1]"),
        ([], "lives and had the last event never"),
        (['{"other": 1}'], "had what nobody published"),
    ],
)
def test_a_hole_a_repetition_and_a_missing_end_are_complaints(
    had: list[str], complaint: str
) -> None:
    async def main() -> list[str]:
        swarm = Swarm.mix({"healthy": 1}, manager=Reordering())
        await swarm.join()
        for text in had:
            await swarm.clients[0].send_text(text)
        return Endured(swarm=swarm, texts=["a", "b", "c"]).complaints()

    assert complaint in " ".join(simulate(main))


def test_a_part_without_a_hole_and_a_ping_between_are_no_complaint() -> None:
    async def main() -> list[str]:
        swarm = Swarm.mix({"healthy": 1}, manager=Reordering())
        await swarm.join()
        for text in ("b", '{"type": "ping"}', "c"):
            await swarm.clients[0].send_text(text)
        return Endured(swarm=swarm, texts=["a", "b", "c"]).complaints()

    assert simulate(main) == []


def test_a_manager_that_does_not_converge_is_told_by_who_did_not() -> None:
    class Forgetful(Reordering):
        async def broadcast(self, event: Any) -> None:
            await super().broadcast(event)
            if self.clients:
                self.clients.pop()

    with pytest.raises(NotSeen, match="is connected and not in the pool"):
        simulate(lambda: _CALM.endure(Forgetful(), settle_within=1.0))
