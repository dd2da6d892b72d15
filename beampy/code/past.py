"""The versions that definitions of this process have, and had: what comes home under one is the thing itself.

Rule: a class whose helper was changed is another version and the same class; so a thing is found under all versions
that it was sent as, as long as it lives, and those of long ago are forgotten. Place: in definitions.py, under its lock;
table.py asks. It does not know what makes a version.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beampy.code.watch import Node

MOST = 65_536  # versions remembered, at some 200 bytes: a day of a value that changes each second
AT_ONCE = 4  # looked at for each one that is added: more are forgotten than come, where most are still the present ones


class Past:
    """What has, or had, each version."""

    def __init__(self) -> None:
        self.nodes: weakref.WeakValueDictionary[bytes, Node] = weakref.WeakValueDictionary()
        self.things: weakref.WeakValueDictionary[bytes, Any] = weakref.WeakValueDictionary()
        self.order: deque[bytes] = deque()

    def add(self, node: Node, thing: Any) -> None:
        """A node has a new version; `thing` is the function or class that it is of, or None."""
        self.nodes[node.version] = node
        if thing is not None:
            self.things[node.version] = thing
        self.order.append(node.version)
        for _ in range(min(len(self.order) - MOST, AT_ONCE)):
            version = self.order.popleft()
            held = self.nodes.get(version)
            if held is not None and held.version == version:
                self.order.append(version)
            else:
                self.nodes.pop(version, None)
                self.things.pop(version, None)
