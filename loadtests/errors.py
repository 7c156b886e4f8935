"""The root of everything that this package raises."""

from flock_ws.errors import FlockError

__all__ = ["LoadTestError", "ScenarioError", "TargetError", "ThresholdError"]


class LoadTestError(FlockError):
    """A load test cannot be run as asked: one line that says what was seen and what to do."""


class ScenarioError(LoadTestError, ValueError):
    """A scenario that cannot be: the message names the key, the value and what it takes."""


class ThresholdError(ScenarioError):
    """A threshold that cannot be read, or asks for a metric or a window that there is not."""


class TargetError(LoadTestError):
    """The server to be tested is not there, or is no WebSocket server at that address."""
