"""Where a run writes what locust's web UI is to show of it: a folder that both processes know."""

import http.client
import json
from http import HTTPStatus
from pathlib import Path

from loadtests.errors import LoadTestError
from loadtests.live import History, Progress
from loadtests.ports import ReservedPort

__all__ = ["LIVE", "REPORT_FILE", "STOP", "VARIABLE", "Board"]

VARIABLE = "FLOCK_LOAD_BOARD"
"""Names the folder; unset where there is no web UI."""

LIVE, REPORT_FILE = "live.json", "report.html"
"""The files in it."""

STOP = "/stop?by=run"
"""Stops locust's users at once. What a person presses asks the run to end: it first stops to
publish, or what was under way would count as lost."""

_HOST = "127.0.0.1"
_STOP_LIMIT = 20.0


class Board:
    """The running side of it.

    It is no protection: whoever reaches the port can start and stop the run, so it listens on this
    machine alone. `close` it when locust has ended.

    Args:
        folder: must be there.
        port: where the web UI is to listen; 0 is any.

    Attributes:
        folder: as given.
        port: the one chosen.

    Raises:
        LoadTestError: the port is taken.
    """

    def __init__(self, folder: Path, *, port: int) -> None:
        self.folder, self._reserved = folder, _reserved(port)
        self.port = self._reserved.port
        self._history = History()
        self._write(over=None)

    @property
    def url(self) -> str:
        """Where the web UI listens."""
        return f"http://{_HOST}:{self.port}"

    @property
    def words(self) -> list[str]:
        """What locust is to be told on its command line."""
        return ["--web-host", _HOST, "--web-port", str(self.port)]

    def progress(self, progress: Progress) -> None:
        """Show where the run stands."""
        self._history.add(progress)
        self._write(over=None)

    def stop(self) -> bool:
        """Ask locust to stop its users, and return whether it took that: its UI stays."""
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=_STOP_LIMIT)
        try:
            connection.request("POST", STOP)
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def finish(self, line: str, *, html: str) -> None:
        """Show the verdict and the report: the run is over."""
        _replace(self.folder / REPORT_FILE, html)
        self._write(over=line)

    def close(self) -> None:
        """Let go of the port."""
        self._reserved.close()

    def _write(self, *, over: str | None) -> None:
        form = {**self._history.to_json(), "over": over}
        _replace(self.folder / LIVE, json.dumps(form))


def _reserved(port: int) -> ReservedPort:
    try:
        return ReservedPort(_HOST, port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LoadTestError(f"--web cannot listen on {_HOST}:{port}: {reason}") from None


def _replace(path: Path, text: str) -> None:
    """Replace a file in one step: its reader never sees half of it."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
