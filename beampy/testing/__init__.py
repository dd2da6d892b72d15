"""The shipped test kit: a simulated event loop and network, nodes as processes, a pytest plugin, leak checks.

Rule: nothing of the runtime imports this package, and importing it costs nothing: each name is
loaded when it is first used, because the pytest plugin in here is loaded by every project that
has beampy installed.

Example:
    from beampy import testing

    async def main() -> None:
        ...

    testing.run(main, seed=7)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beampy.testing.cluster import Cluster, ClusterNode, NodeFailed
    from beampy.testing.simloop import SimFactory, SimLoop, run
    from beampy.testing.simnet import Net, current_host, host
    from beampy.testing.simtask import SimDeadlock, SimLivelock

_HOMES = {
    "Cluster": "cluster",
    "ClusterNode": "cluster",
    "NodeFailed": "cluster",
    "SimDeadlock": "simtask",
    "SimFactory": "simloop",
    "SimLivelock": "simtask",
    "SimLoop": "simloop",
    "run": "simloop",
    "Net": "simnet",
    "current_host": "simnet",
    "host": "simnet",
}

__all__ = [
    "Cluster",
    "ClusterNode",
    "Net",
    "NodeFailed",
    "SimDeadlock",
    "SimFactory",
    "SimLivelock",
    "SimLoop",
    "current_host",
    "host",
    "run",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
