"""``python -m evener``: the command of the same name."""

import sys

from evener.command import main

sys.exit(main())
