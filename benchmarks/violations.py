"""Write ``docs/violations.md``: what uvicorn's default protocol answers to what breaks RFC 6455.

python benchmarks/violations.py > docs/violations.md
"""

import asyncio
import json
import subprocess
import sys
from importlib.metadata import version

from command_line import end_with, parser_of

from simulators.tcp.violations import markdown, violate_all

PAGE = """\
# What a server answers to a broken protocol

Produced by `python benchmarks/violations.py`, which breaks RFC 6455 in {count} ways against
`flock-ws serve --protocol plain` (uvicorn {uvicorn}, websockets {websockets}); a test compares the
answers with this page. For a server of yours: `python -m simulators.tcp.violations ws://host/ws`.

{table}
- **closed**: a close frame, with its code; **ended**: a FIN without one; **accepted**: it
  answers pings as before, and has given the message to the application, which cannot tell that it
  was malformed.
- A connection that is dropped without a close frame counts as kept: section 7.1.7 allows it.
"""


def main() -> None:
    """Serve, break, print."""
    parser_of(__doc__).parse_args()
    serving = subprocess.Popen(
        [sys.executable, "-m", "flock_ws", "serve", "--port", "0", "--protocol", "plain"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = serving.stdout.readline() if serving.stdout else ""
        if not line:
            raise SystemExit("the server did not start: see flock-ws serve --protocol plain")
        results = asyncio.run(violate_all(json.loads(line)["url"]))
    finally:
        serving.kill()
        serving.wait()
    page = PAGE.format(
        count=len(results),
        uvicorn=version("uvicorn"),
        websockets=version("websockets"),
        table=markdown(results),
    )
    print(page, end="")


if __name__ == "__main__":
    end_with(main)
