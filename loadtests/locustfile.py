"""What locust runs: the users of the plan, each cohort at its size.

``flock-ws load`` starts it. Its plan is named in the environment; for locustfiles of your own see
`loadtests.users`.
"""

import sys
from typing import Any

from locust import events
from locust.env import Environment
from locust.runners import MasterRunner

from loadtests import users, web
from loadtests.attendance import join
from loadtests.cohorts import Cohort
from loadtests.errors import LoadTestError
from loadtests.plan import VARIABLE, Plan
from loadtests.scenario import Scenario

__all__: list[str] = []

_CLASSES: dict[str, type[users.FlockUser]] = {
    one.kind: one
    for one in vars(users).values()
    if isinstance(one, type) and issubclass(one, users.FlockUser) and one is not users.FlockUser
}


def _user_class(scenario: Scenario, cohort: Cohort) -> type[users.FlockUser]:
    turns = scenario.turns(cohort) if cohort.kind.faulty else cohort.turns
    attributes = {
        "cohort": cohort.name,
        "options": cohort.options,
        "turns": turns,
        "joins": cohort.joins,
        "leaves": cohort.leaves,
        "fixed_count": cohort.count,
    }
    return type(f"User_{cohort.name}", (_CLASSES[cohort.user],), attributes)


def _classes_of(scenario: Scenario) -> dict[str, type[users.FlockUser]]:
    classes = [_user_class(scenario, cohort) for cohort in scenario.cohorts if cohort.count]
    return {one.__name__: one for one in classes}


def _user_classes() -> dict[str, type[users.FlockUser]]:
    plan = Plan.find()
    if plan is not None:
        return _classes_of(plan.scenario)
    if "--worker" in sys.argv:
        # The plan comes from the master, and locust wants a user before.
        return {"Waiting": type("Waiting", (users.ViewerUser,), {})}
    raise LoadTestError(
        f"{VARIABLE} holds no plan: flock-ws load starts this file; in a locustfile of your own,"
        " subclass the users of loadtests.users"
    )


globals().update(_user_classes())


def _take_plan(environment: Environment, plan: Plan) -> None:
    environment.user_classes = list(_classes_of(plan.scenario).values())


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust's hooks have no types
def _init(environment: Environment, **_: Any) -> None:
    join(environment, on_plan=_take_plan)
    web.install(environment)


@events.test_start.add_listener  # type: ignore[untyped-decorator]  # locust's hooks have no types
def _start(environment: Environment, **_: Any) -> None:
    # After locust may have forked its workers: a thread does not survive a fork.
    if not isinstance(environment.runner, MasterRunner):
        users.engine_of(environment)
