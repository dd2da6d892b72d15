"""A registry's table, and its keeper: the process that owns the table and forgets the dead.

Rule: whoever registers changes the table itself, at once, and tells the keeper only which process it is about; the
keeper looks at the table for whether it has to monitor that process. So what it is told may come late or twice.
Place: below `registry.py`, which is what users see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from beampy import api
from beampy.core.signals import Down
from beampy.errors import AlreadyRegistered
from beampy.otp.server import Server
from beampy.otp.tables import lives, own

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from beampy.core.ids import Pid, Ref

Keys = Literal["unique", "duplicate"]


class Entry(NamedTuple):
    """Who is registered under a key, and with which value."""

    pid: Pid
    value: Any


class KeyEntry(NamedTuple):
    """An entry with its key, as `select` sees all of them."""

    key: Any
    pid: Pid
    value: Any


class Registered(NamedTuple):
    """What a listener gets when a process registers. `registry` is the registry's name, or its pid."""

    registry: str | Pid
    key: Any
    pid: Pid
    value: Any


class Unregistered(NamedTuple):
    """What a listener gets when a process unregisters or has ended."""

    registry: str | Pid
    key: Any
    pid: Pid


class Changed(NamedTuple):
    """To the keeper: this process has its first key, or no more. It looks at the table for which."""

    pid: Pid


class Table:
    """key -> pid -> its values under that key, and which keys a process has. Touched on the node's thread only."""

    __slots__ = ("entries", "held", "keeper", "listeners", "name", "unique")

    def __init__(self, name: str | Pid, keeper: Pid, keys: Keys, listeners: Iterable[str | Pid]) -> None:
        self.name = name
        self.keeper = keeper
        self.unique = keys == "unique"
        self.listeners = tuple(listeners)
        self.entries: dict[Hashable, dict[Pid, list[Any]]] = {}
        self.held: dict[Pid, dict[Hashable, None]] = {}

    def __repr__(self) -> str:
        return f"<table of {self.name!r}: {len(self.entries)} keys, {len(self.held)} processes>"

    def add(self, key: Hashable, pid: Pid, value: Any) -> None:
        """Enter `pid`. AlreadyRegistered when the key is unique and a living process has it."""
        if self.unique:
            for holder in list(self.entries.get(key, ())):
                if lives(holder):
                    raise AlreadyRegistered(key, holder)
                self.drop(holder)  # it has ended, and the keeper has not heard of it yet
        self.entries.setdefault(key, {}).setdefault(pid, []).append(value)
        keys = self.held.get(pid)
        if keys is None:
            keys = self.held[pid] = {}
            api.send(self.keeper, Changed(pid))
        keys[key] = None
        self._tell(Registered(self.name, key, pid, value))

    def remove(self, key: Hashable, pid: Pid, fits: Callable[[Any], bool] | None = None) -> None:
        """Take out what `pid` has under `key`, or only the values that fit."""
        values = self.entries.get(key, {}).get(pid, [])
        left = [] if fits is None else [value for value in values if not fits(value)]
        if left:
            self.entries[key][pid] = left
        elif values:
            self._forget(key, pid)
            keys = self.held[pid]
            del keys[key]
            if not keys:
                del self.held[pid]
                api.send(self.keeper, Changed(pid))
        for _ in range(len(values) - len(left)):
            self._tell(Unregistered(self.name, key, pid))

    def drop(self, pid: Pid) -> None:
        """Take out all that `pid` has."""
        for key in self.held.pop(pid, ()):
            for _ in self._forget(key, pid):
                self._tell(Unregistered(self.name, key, pid))

    def _forget(self, key: Hashable, pid: Pid) -> list[Any]:
        holders = self.entries[key]
        values = holders.pop(pid)
        if not holders:
            del self.entries[key]
        return values

    def of(self, key: Hashable) -> list[Entry]:
        """The entries of a key, of living processes only."""
        holders = self.entries.get(key)
        if holders is None:
            return []
        return [Entry(pid, value) for pid, values in holders.items() if lives(pid) for value in values]

    def _tell(self, event: Registered | Unregistered) -> None:
        for listener in self.listeners:
            # (name, node): a listener that is away at the moment misses the event, and nobody else is hurt
            api.send((listener, self.keeper.node) if isinstance(listener, str) else listener, event)


class Keeper(Server):
    """The process that owns the table and forgets the dead."""

    def __init__(self, name: str | None, keys: Keys, listeners: tuple[str | Pid, ...]) -> None:
        api.set_label("Registry")
        self.table = Table(name or api.self(), api.self(), keys, listeners)
        self.monitors: dict[Pid, Ref] = {}
        own(self.table)

    async def handle_info(self, message: Any) -> None:
        match message:
            case Changed(pid) if pid in self.table.held and pid not in self.monitors:
                self.monitors[pid] = api.monitor(pid)
            case Changed(pid):
                if pid not in self.table.held and pid in self.monitors:
                    api.demonitor(self.monitors.pop(pid), flush=True)
            case Down(ref, pid) if self.monitors.get(pid) == ref:
                del self.monitors[pid]
                self.table.drop(pid)
            case _:
                await super().handle_info(message)
