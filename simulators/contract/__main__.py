"""Print the contract as a page: ``python -m simulators.contract``."""

import sys

from simulators.contract.pages import page

if __name__ == "__main__":
    sys.stdout.write(page())
