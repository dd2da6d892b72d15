"""What is promised on one node only: the marks of tests that do not run with their processes on two nodes.

Each has the sentence of core/SEMANTICS.md that says so; test_substrates.py holds that it is there, and how many there
are.
"""

from __future__ import annotations

import pytest

mark = pytest.mark.one_node

AT_ONCE = mark("On one node a signal takes effect at once, in the sender's call")
NAMES = mark("one name a process, one process a name; only live processes of this node")
DEAD = mark("A link to a dead process of this node raises NoProcess")
EXITING = mark("An exiting process is still there.")
SHARED = mark("Messages are not copied on one node")
TIMERS = mark("A timer to a pid goes with that process")
LOOKS = mark("None or False for the dead, NotLocal for other nodes' pids")
GROUPS = mark("A group takes members of the node it is asked on")
TASKS = mark("A task of `Task.spawn` lives on its owner's node")
