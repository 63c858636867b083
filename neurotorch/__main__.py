"""``python -m neurotorch`` is the command ``neurotorch``."""

import sys

from neurotorch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
