"""The child side of a measurement: `python -m benchmarks.worker MODULE [VARIANT]` answers lines.

The protocol is in `subjects`. A workload alone, for a profiler:

    python -m benchmarks.worker benchmarks.versus.on_beampy "" pingpong 100000

The module offers `workloads(variant)`, a dict of functions from a size to figures, `versions()` and
`loop(variant)`. Whatever a peer prints goes to standard error; standard output is for answers.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import sys
from typing import IO, Any


def answer(workloads: dict[str, Any], line: str) -> dict[str, Any]:
    """Run what the line asks for; whatever goes wrong is the answer, since nobody else can tell."""
    name, size = line.split()
    gc.collect()
    try:
        figures: dict[str, Any] = workloads[name](int(size))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    return figures


def serve(module: Any, variant: str, out: IO[str]) -> None:
    """Say what is here, then answer until the input ends."""
    workloads = module.workloads(variant)
    hello = {
        "workloads": sorted(workloads),
        "versions": {"python": platform.python_version(), **module.versions()},
        "loop": module.loop(variant),
    }
    out.write(json.dumps(hello) + "\n")
    out.flush()
    for line in sys.stdin:
        out.write(json.dumps(answer(workloads, line)) + "\n")
        out.flush()


def main(arguments: list[str]) -> int:
    """The worker: serve, or run one workload when it is named."""
    name, variant, *one = [*arguments, ""] if len(arguments) == 1 else arguments
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        module = importlib.import_module(name)
        if one:
            out.write(json.dumps(answer(module.workloads(variant), " ".join(one))) + "\n")
        else:
            serve(module, variant, out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
