"""Load tests with healthy, slow, stalled and dead clients over real sockets.

Importing locust patches the whole process; nothing here is imported by a test.
"""

__all__: list[str] = []
