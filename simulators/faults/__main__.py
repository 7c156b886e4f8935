"""Print the catalogue of faults as a page: ``python -m simulators.faults``."""

import argparse
import sys

from simulators.faults.catalogue import page

if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m simulators.faults",
        description="Print the catalogue of faults as a page in Markdown.",
        epilog="example: python -m simulators.faults > docs/faults.md",
        allow_abbrev=False,
    ).parse_args()
    sys.stdout.write(page())
