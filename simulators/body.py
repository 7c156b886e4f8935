"""What a behaviour needs of the client that it moves, in process."""

from collections.abc import Mapping
from typing import Any, Protocol

from simulators.link import Link
from simulators.records import Closed
from simulators.uplink import Uplink

__all__ = ["Body", "Frame"]

Frame = str | bytes | Closed
"""What a server sends to a client: a message, or a close frame."""


class Body(Protocol):
    """A client at its own end of a modelled connection: `simulators.peer.Peer`."""

    link: Link[Frame]
    uplink: Uplink

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as it has seen."""

    @property
    def unread_by_server(self) -> int:
        """How many of its messages the application has not taken."""

    def stall(self, *, fill: bool = True) -> None:
        """Stop reading, and keep the connection."""

    def resume(self) -> None:
        """Read again."""

    def reset(self) -> None:
        """Die by a TCP reset."""

    def fin(self) -> None:
        """Close the socket without a close frame."""

    def half_close(self) -> None:
        """End its own side, and read on until the server ends the other."""

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close properly, with a close frame."""

    def lose_again(self) -> None:
        """Let the server notice once more that it is gone."""

    def say(self, message: str | bytes | Mapping[str, Any]) -> None:
        """Send a message to the application; a mapping goes as JSON."""

    def take(self, frame: str | bytes, time: float) -> None:
        """Have read a message."""

    def answer_close(self, frame: Closed) -> None:
        """Answer a close frame, and be gone."""
