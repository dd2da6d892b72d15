"""`beampy runner`: a runner of a pool, on a machine that was started for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from beampy.cli.exits import USAGE, Refusal

if TYPE_CHECKING:
    import argparse

MAX_SPEC = 1 << 20  # characters; a spec has about a thousand, and its `env` may have some more


def run(options: argparse.Namespace) -> int:
    """Be the runner that the environment, or the file, tells of. It does not return."""
    from beampy.pool import runner
    from beampy.pool.spec import VARIABLE

    if options.spec_file is not None:
        try:
            with open(options.spec_file, encoding="ascii") as file:
                os.environ[VARIABLE] = file.read(MAX_SPEC).strip()
        except (OSError, ValueError) as error:
            raise Refusal(USAGE, f"{options.spec_file}: {error}") from None
    runner.run()
