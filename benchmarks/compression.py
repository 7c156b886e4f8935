"""What compression costs: one result for all clients, or uvicorn's deflate for each of them.

The clients offer permessage-deflate as browsers do. Measured is the CPU time of the server process
for each delivery, and the bytes that arrive, acknowledgements included. Prints Markdown.

    python benchmarks/compression.py
"""

import platform
import statistics

from command_line import add_clients, add_rounds, at_least_one, end_with, parser_of
from contestants import COMPRESSING, CONTESTANTS
from pairs import pair
from readers import allow_files

SIZES = (300, 1_024, 16_384)
NAMES = ("fast", "fast deflate", "plain", "plain deflate")


def main() -> None:
    """Measure and print the table."""
    parser = parser_of(__doc__)
    add = parser.add_argument
    add_clients(parser)
    add(
        "--events",
        type=at_least_one,
        default=100,
        help="broadcasts of each size a round (%(default)s)",
    )
    add_rounds(parser)
    arguments = parser.parse_args()
    allow_files(arguments.clients + 200)
    seen: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(arguments.rounds):
        for name in NAMES:
            with pair(name, clients=arguments.clients) as both:
                both.published(events=20, event_bytes=300)
                for size in SIZES:
                    one = both.published(events=arguments.events, event_bytes=size, words=True)
                    seen.setdefault((name, size), []).append(one)
    print("# Compression\n")
    print(f"{platform.system()}, Python {platform.python_version()}, {arguments.clients} clients,")
    print(f"medians of {arguments.rounds} rounds: µs of CPU, and bytes, of one delivery.\n")
    cells = "".join(f" {size} B, µs | arrive |" for size in SIZES)
    print(f"| way |{cells}\n|---|{'---|---|' * len(SIZES)}")
    labels = {name: what for name, (what, _) in {**CONTESTANTS, **COMPRESSING}.items()}
    for name in NAMES:
        row = ""
        for size in SIZES:
            cost, arrived = map(statistics.median, zip(*seen[name, size], strict=True))
            row += f" {cost:.2f} | {arrived:.0f} |"
        print(f"| {labels[name]} |{row}")


if __name__ == "__main__":
    end_with(main)
