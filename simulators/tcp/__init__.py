"""What lies under a client of real TCP: frames, handshakes, connections, and a relay in between.

`simulators.sockets` puts it together; `simulators.acts` says what a fault does here.
"""

__all__: list[str] = []
