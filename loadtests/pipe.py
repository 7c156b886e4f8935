"""How long a client can hide: the bytes that lie between a server and a client that does not read.

Without this arithmetic a short run passes vacuously: nobody was evicted, because nobody had yet
held anything up.
"""

import math
from dataclasses import dataclass

from loadtests.cohorts import Cohort
from loadtests.scenario import Scenario

__all__ = ["FOREIGN_BUFFER_BYTES", "LAGGING_KINDS", "SERVER_BUFFER_BYTES", "Pipe"]

SERVER_BUFFER_BYTES = 65_536 + 2 * 16_384
"""What our server holds for a client that does not read: uvicorn's own write buffer up to its
high-water mark, and a send buffer of 16 384 bytes, which Linux doubles."""

FOREIGN_BUFFER_BYTES = 65_536 + 4 * 1024 * 1024
"""The same for a server of which nothing is known: the kernel may let its send buffer grow to
4 MiB, the usual maximum of ``net.ipv4.tcp_wmem``."""

LAGGING_KINDS = frozenset({"slow", "stalled", "half_open"})
"""Kinds that are found by what they do not take."""


@dataclass(frozen=True, slots=True)
class Pipe:
    """What lies between the server and one client that does not read.

    Attributes:
        scenario: who connects and what is published.
        tuned: whether the server's buffers are those of our server.
        bytes_per_second: what each client is sent.
        heartbeat: whether the manager keeps to the scenario's heartbeat, if it has one.
    """

    scenario: Scenario
    tuned: bool = True
    bytes_per_second: float = math.nan
    heartbeat: bool = True

    @property
    def flow(self) -> float:
        """What each client is sent in a second: the scenario's own rate where nothing is said."""
        if math.isnan(self.bytes_per_second):
            return self.scenario.published_bytes_per_second
        return self.bytes_per_second

    @property
    def size_bytes(self) -> int:
        """What a client that does not read absorbs before a send blocks.

        An upper bound: the kernel counts its own bookkeeping against these buffers, so that less
        payload fits.
        """
        server = SERVER_BUFFER_BYTES if self.tuned else FOREIGN_BUFFER_BYTES
        return server + 2 * self.scenario.receive_buffer_bytes

    def fill_time(self, cohort: Cohort) -> float:
        """Return the seconds that fill the pipe of a client; infinity when it keeps up.

        A slow reader takes its share out of the pipe meanwhile.
        """
        flow = self.flow
        if cohort.user == "slow":
            flow -= float(cohort.complete_options["bytes_per_second"])
        return self.size_bytes / flow if flow > 0 else math.inf

    @property
    def silence_limit(self) -> float:
        """Within how many seconds a heartbeat finds who answers none; infinity without one."""
        server = self.scenario.server
        if not self.heartbeat or not {"pong_timeout", "heartbeat_interval"} <= server.keys():
            return math.inf
        # Its last pong may have been given just before it turned.
        found = float(server["heartbeat_interval"]) + float(server["pong_timeout"])
        return found + self.scenario.limits.eviction_margin

    def eviction_limit(self, cohort: Cohort) -> float:
        """Return within how many seconds of its turn a client must be out of the pool.

        Infinity where no server could tell by then that it has turned.
        """
        limits = self.scenario.limits
        if cohort.user == "dead":
            return limits.eviction_margin
        if cohort.user == "never_pongs":
            return self.silence_limit
        found = self.fill_time(cohort) + self.scenario.send_timeout + limits.eviction_margin
        # Who takes nothing at all answers no ping either.
        return found if cohort.user == "slow" else min(found, self.silence_limit)
