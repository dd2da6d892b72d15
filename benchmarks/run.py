"""Everything: every hot path with every peer that is installed, as a table with the goals.

python -m benchmarks.run --json head.json
python -m benchmarks.run --only call --peers pykka,erlang
python -m benchmarks.run --markdown > benchmarks/RESULTS.md
python -m benchmarks.run --from head.json --markdown
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.harness import main
from benchmarks.report import markdown, table
from benchmarks.versus.on_beampy import cases


def entry(arguments: list[str]) -> int:
    """Print an old record when `--from FILE` names one, otherwise measure."""
    if arguments[:1] == ["--from"] and len(arguments) > 1:
        data = json.loads(Path(arguments[1]).read_text())
        sys.stdout.write(markdown(data) if "--markdown" in arguments[2:] else table(data))
        return 0
    return main(cases(), arguments, peers="all")


if __name__ == "__main__":
    raise SystemExit(entry(sys.argv[1:]))
