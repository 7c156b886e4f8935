"""What hostile clients try; `benchmarks/hostile.py` measures what it costs a server."""

from attacks import handshakes, messages, readers, requests
from attacks.attack import TOKEN, Attack, Served

__all__ = ["ATTACKS", "TOKEN", "Attack", "Served"]

ATTACKS: tuple[Attack, ...] = (
    *handshakes.ATTACKS,
    *messages.ATTACKS,
    *requests.ATTACKS,
    *readers.ATTACKS,
)
