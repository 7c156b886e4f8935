"""Many clients in one process, as cheap as Python can read: what every benchmark connects.

They read with `recv_into`, count the events by the stamp that each carries, and answer the
protocol pings by which the manager asks for acknowledgements. Some may stall: after the handshake
nothing takes a byte from their sockets. Commands come on standard input, one a line, and each is
answered by a line of JSON.

    report    deliveries so far, all bytes, pings answered, and the monotonic time of the last one
    lateness  quantiles of the seconds from an event's stamp to its arrival
    forget    start counting the lateness anew
"""

import contextlib
import json
import re
import resource
import selectors
import socket
import sys
import time

from command_line import parser_of

STAMP = b"@@flock-ws-event@@"
STAMPED = re.compile(STAMP + rb"(\d{16})")
"""What an event carries: the mark, and µs of the system's monotonic clock."""

_PING = b"\x89\x10flock-ws"
_PING_BYTES = 18
_PONG = b"\x8a\x90\0\0\0\0"
# A stamp is 34 bytes: none fits whole into what is kept of a chunk, so none is counted twice.
_OVERLAP = 33
_CHUNK = 1 << 18
_SMALL_RECEIVE_BUFFER = 4_096

REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
)
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
"""What a browser offers. The events are then not seen in what comes; the bytes are counted."""
SOCKETIO_PATH = "/socket.io/?EIO=4&transport=websocket"
_SOCKETIO_CONNECT = b"\x81\x82\0\0\0\0" + b"40"


class Readers:
    """The clients. `run` returns when standard input ends.

    Args:
        port: where the server listens.
        clients: how many read.
        stalled: how many more connect and never read.
        path: of the upgrade.
        after: sent once the upgrade was answered.
        offer: further header lines of the upgrade.
    """

    def __init__(
        self,
        port: int,
        *,
        clients: int,
        stalled: int,
        path: str = "/ws",
        after: bytes = b"",
        offer: str = "",
    ) -> None:
        self._request = REQUEST.format(path=path, offer=offer).encode()
        self._after = after
        self._waiting = selectors.DefaultSelector()
        self._tails: dict[int, bytes] = {}
        self._stalled = [self._connect(port, small=True) for _ in range(stalled)]
        for _ in range(clients):
            connection = self._connect(port)
            self._tails[connection.fileno()] = bytes(_OVERLAP)
            self._waiting.register(connection, selectors.EVENT_READ, connection)
        self._waiting.register(sys.stdin, selectors.EVENT_READ, None)
        self._received = 0
        self._bytes = 0
        self._pings = 0
        self._last = 0.0
        self._late: list[int] = []

    def _connect(self, port: int, *, small: bool = False) -> socket.socket:
        connection = socket.socket()
        if small:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_RECEIVE_BUFFER)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(self._request)
        if self._after:
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(4_096)
            connection.sendall(self._after)
        connection.setblocking(False)  # noqa: FBT003 # its only parameter
        return connection

    def run(self) -> None:
        """Read until standard input ends."""
        buffer = bytearray(_OVERLAP + _CHUNK)
        chunk = memoryview(buffer)[_OVERLAP:]
        while True:
            ready = self._waiting.select()
            for key, _ in ready:
                connection = key.data
                if connection is None:
                    if not self._obey(sys.stdin.readline().strip()):
                        return
                    continue
                try:
                    count = connection.recv_into(chunk)
                except BlockingIOError:
                    continue
                except OSError:
                    count = 0
                if count:
                    self._take(connection, buffer, count)
                else:
                    self._waiting.unregister(connection)

    def _take(self, connection: socket.socket, buffer: bytearray, count: int) -> None:
        descriptor = connection.fileno()
        end = _OVERLAP + count
        self._bytes += count
        buffer[:_OVERLAP] = self._tails[descriptor]
        stamps = STAMPED.findall(buffer, 0, end)
        if stamps:
            self._received += len(stamps)
            self._last = time.monotonic()
            now = int(self._last * 1e6)
            self._late.extend([now - int(stamp) for stamp in stamps])
        ping = buffer.find(_PING, 0, end)
        while ping >= 0 and ping + _PING_BYTES <= end:
            if ping + _PING_BYTES > _OVERLAP:
                self._pings += 1
                with contextlib.suppress(OSError):
                    connection.send(_PONG + buffer[ping + 2 : ping + _PING_BYTES])
            ping = buffer.find(_PING, ping + 1, end)
        self._tails[descriptor] = bytes(buffer[end - _OVERLAP : end])

    def _obey(self, command: str) -> bool:
        if command == "forget":
            self._late.clear()
            print("{}", flush=True)
        elif command == "report":
            report = {"received": self._received, "bytes": self._bytes, "last": self._last}
            print(json.dumps({**report, "pings": self._pings}), flush=True)
        elif command == "lateness":
            print(json.dumps(self._lateness()), flush=True)
        return bool(command)

    def _lateness(self) -> dict[str, float]:
        late = sorted(self._late)
        if not late:
            return {}
        shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
        quantiles = {
            name: late[min(len(late) - 1, int(len(late) * share))] / 1e6
            for name, share in shares.items()
        }
        return {**quantiles, "max": late[-1] / 1e6}


def allow_files(count: int) -> int:
    """Raise the soft limit of open files as far as it goes; return what is allowed, up to `count`.

    The hard limit is the machine's, and stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return count


def main() -> None:
    """Connect, and obey."""
    parser = parser_of(__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--stalled", type=int, default=0)
    parser.add_argument("--socketio", action="store_true", help="speak Socket.IO")
    parser.add_argument("--deflate", action="store_true", help="offer compression")
    options = parser.parse_args()
    allow_files(options.clients + options.stalled + 100)
    path, after = (SOCKETIO_PATH, _SOCKETIO_CONNECT) if options.socketio else ("/ws", b"")
    Readers(
        options.port,
        clients=options.clients,
        stalled=options.stalled,
        path=path,
        after=after,
        offer=DEFLATE if options.deflate else "",
    ).run()


if __name__ == "__main__":
    main()
