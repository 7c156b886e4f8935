"""A factory of fake clients, as a test orders them."""

from typing import Any

import pytest

from simulators.behaviours import Behaviour
from simulators.errors import OptionError
from simulators.factory import ClientFactory
from simulators.faults import NeverPongs


def test_it_makes_one_or_as_many_as_asked_and_remembers_them_in_order() -> None:
    clients = ClientFactory()
    made = [clients.stalled(), *clients.healthy(2), *clients.of(Behaviour.of(NeverPongs()), 1)]
    assert list(clients) == made
    assert [client.name for client in made] == [
        "stalled-1",
        "healthy-1",
        "healthy-2",
        "never_pongs-1",
    ]
    assert clients.healthy(0) == []
    assert len(clients) == 4


@pytest.mark.parametrize("count", [-1, "3", 2.0])
def test_a_number_of_clients_that_cannot_be_is_refused(count: Any) -> None:
    with pytest.raises(OptionError, match="healthy: how many clients must be a whole number"):
        ClientFactory().healthy(count)


def test_what_is_no_behaviour_is_refused() -> None:
    with pytest.raises(OptionError, match="a behaviour is expected"):
        ClientFactory().of("slow", 3)  # type: ignore[call-overload]  # the point of the test
