"""What locust runs: the users of the plan, each cohort at its size.

``flock-ws load`` starts it. By itself: ``locust -f …/loadtests/locustfile.py --host ws://host/ws``.
"""

import os
from pathlib import Path
from typing import Any

from locust import events
from locust.env import Environment

from loadtests.plan import Plan
from loadtests.scenario import SCENARIOS
from loadtests.users import (
    PLAN_VARIABLE,
    DeadUser,
    FlockUser,
    HealthyUser,
    SlowUser,
    StalledUser,
    engine_of,
)

__all__: list[str] = []


def _size_cohorts() -> None:
    path = os.environ.get(PLAN_VARIABLE)
    scenario = Plan.read(Path(path)).scenario if path else SCENARIOS["storm"]
    users: tuple[type[FlockUser], ...] = (HealthyUser, SlowUser, StalledUser, DeadUser)
    for user in users:
        user.fixed_count = getattr(scenario, user.cohort)
        # To locust a count of 0 means: no count given.
        user.abstract = not user.fixed_count


_size_cohorts()


@events.test_start.add_listener  # type: ignore[untyped-decorator]  # locust's hooks have no types
def _start(environment: Environment, **_: Any) -> None:
    # After locust may have forked its workers: a thread does not survive a fork.
    engine_of(environment)
