"""Holds: that this node needs an object. What its handles share here, and what tells when the last one is gone.

Rule: Python's own reference counting is the count of handles. A hold dies with the last handle, and with the last
message that has arrived and was not read yet; then its id is appended to a deque, and nothing else happens, whatever
thread that is on and whatever locks it has. The loop looks at the deque (service.py).

A weak reference tells of the death, not a finalizer of the hold itself: after a weak reference's word nobody comes
back to life.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from beampy.refs.identity import ObjectId
    from beampy.refs.service import Refs


class Hold:
    """That this node needs the object `id`. `rebuild`: how to make it again when its owner is lost, where known;
    `maker`: the node where that is known, "" for none. `what`, `nbytes`: its type and size, once a handle was made."""

    __slots__ = ("__weakref__", "id", "maker", "nbytes", "rebuild", "refs", "what")

    def __init__(self, refs: Refs, id: ObjectId) -> None:
        self.refs = refs
        self.id = id
        self.rebuild: Callable[..., Any] | None = None
        self.maker = ""
        self.what = ""
        self.nbytes = 0

    def __repr__(self) -> str:
        return f"<Hold of {self.id!r}>"


class Watch(weakref.ref[Hold]):
    """The weak reference to a hold, which knows whose it is when that is gone."""

    __slots__ = ("id",)
    id: ObjectId

    def __new__(cls, hold: Hold, gone: Callable[[Any], object]) -> Watch:
        self: Watch = super().__new__(cls, hold, gone)
        self.id = hold.id
        return self

    def __init__(self, hold: Hold, gone: Callable[[Any], object]) -> None:
        super().__init__(hold, gone)  # type: ignore[call-arg]


class Holds:
    """All holds of one node, by id. `news` gets a Watch when its hold has died; who reads it says `bury`."""

    def __init__(self, refs: Refs, news: deque[Any]) -> None:
        self._refs = refs
        self._table: dict[ObjectId, Watch] = {}
        # Two threads may need the same object. One has it twice where a garbage collection in here runs code that makes
        # references. It is never taken when a hold dies.
        self._lock = threading.RLock()
        self._gone = news.append

    def __len__(self) -> int:
        return len(self._table)

    def find(self, id: ObjectId) -> Hold | None:
        """The hold of an object, if there is one. Any thread."""
        watch = self._table.get(id)
        return None if watch is None else watch()

    def take(self, id: ObjectId) -> tuple[Hold, bool]:
        """The hold of an object, and whether it was made now. Any thread."""
        table = self._table
        fresh: Hold | None = None
        mine: Watch | None = None
        with self._lock:
            while True:
                watch = table.get(id)
                hold = None if watch is None else watch()
                if hold is not None:
                    return hold, False
                if fresh is None or mine is None:
                    fresh = Hold(self._refs, id)
                    mine = Watch(fresh, self._gone)
                # A garbage collection at any call may have run code that took the same, or buried the dead one: so it
                # is looked at again, with no call between that and the change.
                elif watch is None:
                    if table.setdefault(id, mine) is mine:
                        return fresh, True
                elif id in table and table[id] is watch:
                    table[id] = mine
                    return fresh, True

    def bury(self, watch: Watch) -> bool:
        """A hold has died. Whether its object is not needed any more: nobody has made another hold of it since."""
        table, id = self._table, watch.id
        with self._lock:
            if id in table and table[id] is watch:
                del table[id]
                return True
            return False

    def ids(self) -> list[ObjectId]:
        """What is held now."""
        with self._lock:
            return list(self._table)
