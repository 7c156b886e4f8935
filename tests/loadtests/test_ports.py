import socket
import sys

import pytest

from loadtests.ports import ReservedPort

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a port cannot be held for somebody else"
)
HOST = "127.0.0.1"


def test_nobody_else_gets_a_port_that_is_reserved() -> None:
    taken = pytest.raises(OSError, match="Address already in use")
    with ReservedPort(HOST) as reserved, socket.socket() as other, taken:
        other.bind((HOST, reserved.port))


def test_a_server_gets_a_port_that_is_reserved_for_it() -> None:
    with (
        ReservedPort(HOST) as reserved,
        socket.create_server((HOST, reserved.port)),
        socket.create_connection((HOST, reserved.port)),
    ):
        pass


def test_until_it_listens_a_client_is_refused() -> None:
    with ReservedPort(HOST) as reserved, pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, reserved.port))


def test_a_port_of_somebody_who_listens_cannot_be_reserved() -> None:
    taken = pytest.raises(OSError, match="Address already in use")
    with socket.create_server((HOST, 0)) as listening, taken:
        ReservedPort(HOST, listening.getsockname()[1])


def test_a_port_that_was_let_go_is_anybodys() -> None:
    with ReservedPort(HOST) as reserved, ReservedPort(HOST) as another:
        ports = (reserved.port, another.port)
    # Anybody may be quicker, but hardly twice.
    assert any(map(can_be_bound, ports))


def can_be_bound(port: int) -> bool:
    with socket.socket() as other:
        try:
            other.bind((HOST, port))
        except OSError:
            return False
        return True
