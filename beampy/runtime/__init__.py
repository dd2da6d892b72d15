"""The composition root: a Node put together and run, on this loop, on a loop of its own, or on its own thread.

    bp.run(main)                      a program: a node, its first process, and an orderly end
    async with bp.Node("a") as node:  a node on the running loop; the body may act as a process
    bp.start("a")                     a node on a thread and loop of its own, for scripts and notebooks

This is the only place that picks uvloop, handles signals, and knows how the parts fit. The end is ordered: the
first process is asked to end, supervisors end their children in reverse order, what is left over is asked next,
and what does not end in time is killed and named.
"""

from __future__ import annotations

from beampy.runtime.background import start
from beampy.runtime.loops import new_event_loop
from beampy.runtime.node import Node
from beampy.runtime.program import run

__all__ = ["Node", "new_event_loop", "run", "start"]
