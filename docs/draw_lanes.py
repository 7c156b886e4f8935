"""Draw the README's picture: one stalled client, under the usual loop and under the reference.

Both run in virtual time, so that the picture is the same every time.

    python docs/draw_lanes.py > docs/images/lanes.svg
"""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flock_ws import WebSocketManager
from flock_ws.events import AgentCompletedEvent
from simulators import FakeClient, HealthyClient, StalledClient, Wire, simulate

END = 6.0
EVERY = 0.2
STALLS_AFTER = 2.0
WIDTH, LEFT, RIGHT = 860, 118, 846
TITLE, LANE = 40, 26
# Full buffers as soon as it stops reading: the next send is the one that waits.
FULL = Wire(filled=True)

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 } .code { font: 12px ui-monospace, monospace; fill: #57606a }
  .soft { font-size: 11px; fill: #57606a } .lane { stroke: #d0d7de; stroke-width: 12 }
  .got { fill: #1a7f37 } .stalled { stroke: #cf222e; stroke-width: 12; opacity: .22 }
  .out { stroke: #8250df; stroke-width: 2 } .bad { fill: #cf222e } .good { fill: #1a7f37 }
  .said { font-size: 12px } .publish { stroke: #0969da; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .code, .soft { fill: #9198a1 } .lane { stroke: #30363d }
    .got, .good { fill: #3fb950 } .bad { fill: #ff7b72 } .stalled { stroke: #ff7b72 }
    .out { stroke: #bc8cff } .publish { stroke: #58a6ff }
  }
"""


class UsualLoop:
    """A set of sockets and a loop."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.clients: list[Any] = []

    async def add_client(self, client: Any) -> None:
        """Add a client."""
        self.clients.append(client)

    async def broadcast(self, event: Any) -> None:
        """Send to one client after the other."""
        for client in self.clients:
            await client.send_text(event.model_dump_json())


@dataclass
class Lane:
    """What came of one client: when it got something, when it stopped, when it was dropped."""

    name: str
    received: list[float]
    stalled_at: float | None = None
    out_at: float | None = None


Ran = tuple[list[Lane], list[float]]
"""The lanes, and when something was published."""


def evictions(manager: Any) -> tuple[Any, ...]:
    """Return whom the manager dropped, where it tells."""
    return manager.statistics().evictions if isinstance(manager, WebSocketManager) else ()


async def run(manager: Any) -> Ran:
    """Publish steadily to four clients, of which one stalls."""
    clients: list[FakeClient] = [
        HealthyClient(name="tablet"),
        StalledClient(name="phone", after_seconds=STALLS_AFTER, wire=FULL),
        HealthyClient(name="desktop"),
        HealthyClient(name="wall screen"),
    ]
    for client in clients:
        await (
            manager.add_client(client, name=client.name)
            if isinstance(manager, WebSocketManager)
            else manager.add_client(client)
        )
    loop = asyncio.get_running_loop()
    began, published = loop.time(), []
    with suppress(TimeoutError):
        async with asyncio.timeout_at(began + END):
            while True:
                published.append(loop.time() - began)
                event = AgentCompletedEvent(
                    correlation_id="c", agent_name="a", run_id="r", duration_ms=1.0
                )
                if isinstance(manager, WebSocketManager):
                    manager.publish(event)
                else:
                    await manager.broadcast(event)
                await asyncio.sleep(EVERY)
    out = {one.client: one.at - began for one in evictions(manager)}
    found = [
        Lane(
            client.name,
            [one.time - began for one in client.received],
            STALLS_AFTER if client.name == "phone" else None,
            out.get(client.name),
        )
        for client in clients
    ]
    return found, published


def place(time: float) -> float:
    """Return where a moment lies."""
    return round(LEFT + (RIGHT - LEFT) * time / END, 1)


def panel(title: str, code: str, kind: str, ran: Ran, *, top: int) -> Iterator[str]:
    """Draw one run."""
    lanes, published = ran
    verdict = _verdict(ran)
    yield f'<text class="title" x="0" y="{top + 13}">{title}</text>'
    yield f'<text class="code" x="{LEFT}" y="{top + 13}">{code}</text>'
    for time in published:
        x = place(time)
        yield f'<path class="publish" d="M{x} {top + 22}v6"/>'
    for number, lane in enumerate(lanes):
        y = top + TITLE + number * LANE
        until = place(min(END, lane.out_at if lane.out_at is not None else END))
        yield f'<text class="said" x="0" y="{y + 4}">{lane.name}</text>'
        yield f'<path class="lane" d="M{LEFT} {y}H{until}"/>'
        if lane.stalled_at is not None:
            yield f'<path class="stalled" d="M{place(lane.stalled_at)} {y}H{until}"/>'
            yield (
                f'<text class="soft bad" x="{place(lane.stalled_at) + 4}" y="{y + 4}">'
                "stops reading</text>"
            )
        if lane.out_at is not None:
            yield f'<path class="out" d="M{until} {y - 8}v16"/>'
            yield f'<text class="soft" x="{until + 6}" y="{y + 4}">evicted, and closed</text>'
        for time in lane.received:
            if time <= END:
                yield f'<circle class="got" cx="{place(time)}" cy="{y}" r="3"/>'
    bottom = top + TITLE + len(lanes) * LANE
    yield f'<text class="said {kind}" x="{LEFT}" y="{bottom + 2}">{verdict}</text>'


def picture() -> str:
    """Return both runs as SVG."""
    usual, ours = simulate(lambda: run(UsualLoop())), simulate(lambda: run(WebSocketManager()))
    height = 2 * (TITLE + 4 * LANE) + 62
    second = TITLE + 4 * LANE + 26
    parts: Iterable[str] = [
        *panel(
            "The usual loop",
            "for client in clients: await client.send_text(message)",
            "bad",
            usual,
            top=0,
        ),
        *panel(
            "flock_ws",
            "manager.publish(event)",
            "good",
            ours,
            top=second,
        ),
        *(
            f'<text class="soft" text-anchor="middle" x="{place(time)}" y="{height - 6}">'
            f"{time:g} s</text>"
            for time in (1, 2, 3, 4, 5)
        ),
    ]
    told = "Three healthy clients and one that stops reading after 2 s, under two managers."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{told}</title><style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _verdict(ran: Ran) -> str:
    lanes, published = ran
    last = max(max(lane.received) for lane in lanes if lane.stalled_at is None)
    if last < END - 1:
        return f"{len(published)} events in {END:g} s: nobody got anything after {last:.1f} s"
    return f"{len(published)} events in {END:g} s: everybody else got each of them at once"


if __name__ == "__main__":
    sys.stdout.write(picture())
