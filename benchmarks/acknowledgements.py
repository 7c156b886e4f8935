"""What it costs to ask clients for acknowledgements: a ping, its pong, and two deadlines for each.

The reference on the direct way publishes at a rate, once with acknowledgements ten times a second
and once without any, in rounds that alternate. What the server process pays more, over the pings
that the readers answered, is one acknowledgement. At the default `Limits.ack_interval` that is one
for each client and second in which data is outstanding. The last column compares it with a delivery
of the same run; the microseconds belong to the machine. Prints Markdown.

    python benchmarks/acknowledgements.py
"""

import json
import platform
import statistics

from command_line import above_zero, add_clients, add_rounds, end_with, parser_of
from pairs import pair
from readers import allow_files

RATE = 20
EVENT_BYTES = 300
# Nobody is to be evicted, however slow the machine: None asks for nothing.
WITHOUT, WITH = (
    json.dumps({"send_timeout": 60, "ack_interval": 0.1, "ack_timeout": timeout})
    for timeout in (None, 60)
)


def measure(limits: str, *, clients: int, events: int) -> tuple[float, float]:
    """Return the server's CPU, in µs for each delivery, and the pings for each delivery."""
    with pair("fast", clients=clients, limits=limits) as both:
        both.run(do="pace", rate=RATE, events=RATE, event_bytes=EVENT_BYTES)
        seen = both.run(do="pace", rate=RATE, events=events, event_bytes=EVENT_BYTES)
    return seen["cpu"], seen["pings"] / (events * clients)


def main() -> None:
    """Measure both and print the table."""
    parser = parser_of(__doc__)
    add = parser.add_argument
    add_clients(parser)
    add("--seconds", type=above_zero, default=5.0, help="of each phase (%(default)s)")
    add_rounds(parser)
    arguments = parser.parse_args()
    allow_files(arguments.clients + 200)
    events = max(1, round(arguments.seconds * RATE))
    deliveries, costs = [], []
    for _ in range(arguments.rounds):
        delivery, unasked = measure(WITHOUT, clients=arguments.clients, events=events)
        asked, pings = measure(WITH, clients=arguments.clients, events=events)
        if unasked or not pings:
            raise SystemExit(f"{unasked:.2f} and {pings:.2f} pings a delivery, not 0 and some")
        deliveries.append(delivery)
        costs.append((asked - delivery) / pings)
    print("# Acknowledgements\n")
    print(f"{platform.system()}, Python {platform.python_version()}; {arguments.clients} clients,")
    print(f"{RATE} events/s of {EVENT_BYTES} B, medians of {arguments.rounds} rounds, µs of CPU.\n")
    print("| one delivery | one acknowledgement | least to most | acknowledgements in deliveries |")
    print("|---|---|---|---|")
    cost, delivery = statistics.median(costs), statistics.median(deliveries)
    ratio = statistics.median(map(lambda one, other: one / other, costs, deliveries))
    print(f"| {delivery:.2f} | {cost:.2f} | {min(costs):.2f} to {max(costs):.2f} | {ratio:.1f} |")


if __name__ == "__main__":
    end_with(main)
