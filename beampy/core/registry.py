"""Names of the processes of one node. One name a process, one process a name; a name goes with its process.

It knows names and pids only; who may be named, and what an unknown name means to a sender, is the node's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beampy.errors import BadName, NameTaken, NotRegistered

if TYPE_CHECKING:
    from beampy.core.ids import Pid

RESERVED = ("", "undefined")


class Registry:
    """name -> pid."""

    __slots__ = ("pids",)

    def __init__(self) -> None:
        self.pids: dict[str, Pid] = {}

    def check(self, name: str) -> None:
        """Raise BadName or NameTaken unless `name` can be given."""
        if not isinstance(name, str) or name in RESERVED:
            raise BadName("process", name, "a non-empty string other than 'undefined'")
        if name in self.pids:
            raise NameTaken(name, self.pids[name])

    def register(self, name: str, pid: Pid, current: str | None) -> None:
        """Give `pid` a name. NameTaken when the name, or the process, has one already (`current`)."""
        self.check(name)
        if current is not None:
            raise NameTaken(current, pid)
        self.pids[name] = pid

    def unregister(self, name: str) -> Pid:
        """Free a name; NotRegistered when nobody has it."""
        pid = self.pids.pop(name, None)
        if pid is None:
            raise NotRegistered(name)
        return pid

    def forget(self, name: str) -> None:
        """Its process has ended."""
        self.pids.pop(name, None)
