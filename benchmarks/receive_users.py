"""The locustfile of `receive.py`: one user of ours for each connection."""

import os

from locust import events

from loadtests.payloads import PayloadReader
from loadtests.users import ViewerUser, engine_of

if os.environ.get("BENCH_PARSE_EACH"):
    # As if no two clients were ever sent the same bytes.
    PayloadReader._reader = lambda self: self._parse  # type: ignore[method-assign]  # noqa: SLF001 - to show what it saves


class Viewer(ViewerUser):
    """A dashboard."""

    host = os.environ.get("BENCH_URL", "")


@events.quitting.add_listener
def _tell(environment, **_) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003 - locust's hooks have no types
    results = engine_of(environment).results()
    if not environment.runner.user_count:
        return  # after SIGTERM locust shuts down twice
    wrong = sum(one.gaps + one.duplicates + one.disordered for one in results.clients)
    latency = max(
        (histogram.quantile(0.99) for histogram in results.series["viewer"].values()), default=0
    )
    taken = sum(one.received for one in results.clients)
    print(
        f"checked {taken:,}, {wrong} out of order, worst second's p99 {latency * 1e3:.0f} ms,"
        f" lag p99 {results.generator.lag.quantile(0.99) * 1e3:.0f} ms",
        flush=True,
    )
