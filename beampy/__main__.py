"""`python -m beampy`: the `beampy` command."""

from __future__ import annotations

import sys

from beampy.cli import main

if __name__ == "__main__":
    sys.exit(main())
