"""Load tests with healthy, slow, stalled and dead clients over real sockets.

Importing locust patches the whole process. Only `loadtests.users`, `loadtests.attendance`,
`loadtests.distributed` and `loadtests.locustfile` do: they live in the generator's own process.
"""

__all__: list[str] = []
