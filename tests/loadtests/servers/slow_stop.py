"""Our users, each slow to stop: slower than locust's master waits for the last reports."""

from typing import Any

import gevent

from loadtests import locustfile
from loadtests.users import FlockUser

_stop = FlockUser.on_stop


def _dawdle(user: Any) -> None:
    gevent.sleep(0.8)
    _stop(user)


FlockUser.on_stop = _dawdle  # type: ignore[method-assign,assignment]  # of all users at once
globals().update({name: one for name, one in vars(locustfile).items() if name.startswith("User_")})
