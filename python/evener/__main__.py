"""``python -m evener``: the command of the same name."""

import sys

from evener.command import main

if __name__ == "__main__":
    sys.exit(main())
