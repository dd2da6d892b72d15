"""Registry: processes found by any key, one each (unique) or many (duplicate). Elixir's Registry.

Rule: a process registers itself, and that has happened when `register` returns; a lookup reads the registry's table
and sends nothing. A process that has ended is in no answer from that moment on. The keeper, the process that owns
the table, monitors who is in it and forgets them when they are gone; when the keeper ends, its table does too.

With unique keys it is a second space of names (`via`), with duplicate keys publish and subscribe within a node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.current import here
from beampy.core.ids import Pid
from beampy.core.mailbox import matcher
from beampy.errors import NoProcess, NotRegistered
from beampy.otp import gen
from beampy.otp.registry_keeper import Entry, Keeper, KeyEntry, Keys, Registered, Table, Unregistered
from beampy.otp.supervised import Supervised
from beampy.otp.tables import lives, on_node, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from beampy.handle import Handle


class Registry(Supervised):
    """A registry, by its pid or name.

    >>> reg = await Registry.start_link(name="rooms", keys="unique")
    >>> reg.register(("room", 7), {"topic": "tea"})       # the current process
    >>> reg.lookup(("room", 7))
    [Entry(pid=<Pid nonode@nohost 2>, value={'topic': 'tea'})]
    >>> reg.whereis(("room", 8)) is None
    True

    All of it is immediate and about one node: on another node these raise NotLocal, and NoProcess when the registry
    does not run. Values are shared, not copied: a change goes through `update_value`, never into the value itself.
    """

    __slots__ = ("dest",)

    def __init__(self, dest: Pid | str) -> None:
        self.dest = dest

    # starting

    @classmethod
    def start(
        cls,
        *,
        name: str | None = None,
        keys: Keys = "unique",
        listeners: Iterable[str | Pid] = (),
        timeout: float | None = None,
    ) -> Handle[Registry]:
        """Start a registry, with no link. `listeners` get Registered and Unregistered messages."""
        return _start(name, keys, tuple(listeners), timeout, link=False)

    @classmethod
    def start_link(
        cls,
        *,
        name: str | None = None,
        keys: Keys = "unique",
        listeners: Iterable[str | Pid] = (),
        timeout: float | None = None,
    ) -> Handle[Registry]:
        """Start a registry, linked with the current process: normally its supervisor."""
        return _start(name, keys, tuple(listeners), timeout, link=True)

    @classmethod
    def client(cls, dest: Pid | str) -> Registry:
        """A registry that runs, or will: a name is looked up at each use, so it outlives a restart."""
        return cls(dest)

    @property
    def pid(self) -> Pid:
        """The pid of its keeper. NotRegistered where it was given by a name that nobody has now."""
        if isinstance(self.dest, Pid):
            return self.dest
        pid = api.whereis(self.dest)
        if pid is None:
            raise NotRegistered(self.dest)
        return pid

    def stop(self, reason: Any = "normal", timeout: float | None = None) -> Handle[None]:
        """Stop it and wait for its end. The processes in it go on."""
        return gen.stop(self.dest, reason, timeout)

    # being found

    def register(self, key: Hashable, value: Any = None) -> None:
        """Register the current process under `key`. It has happened when this returns.

        With unique keys AlreadyRegistered (a NameTaken) is raised when a living process has the key, this one
        included; with duplicate keys a process may register as often as it likes.
        """
        me = here("register").pid

        def work() -> None:
            if not api.is_alive(me):
                raise NoProcess(me)
            self._table().add(key, me, value)

        on_node("register", work)

    def unregister(self, key: Hashable, pattern: Any = None) -> None:
        """Take the current process off `key`; with a pattern (as in `receive`) only where the value matches."""
        me = here("unregister").pid
        fits = None if pattern is None else matcher(pattern)
        on_node("unregister", lambda: self._table().remove(key, me, fits))

    def update_value(self, key: Hashable, fn: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Put `fn(value)` in the place of the current process's value. (new, old); NotRegistered if it has none.

        `fn` is a plain function. For registries of unique keys.
        """
        me = here("update_value").pid

        def work() -> tuple[Any, Any]:
            values = self._unique("update_value").entries.get(key, {}).get(me)
            if values is None:
                raise NotRegistered(key)
            old = values[0]
            values[0] = fn(old)
            return values[0], old

        return on_node("update_value", work)

    def via(self, key: Hashable, value: Any = None) -> Via:
        """`key` as a destination for send, call, cast and monitor, and as the `name=` of a behaviour that is started.

        >>> await Counter.start_link(name=reg.via("hits"))
        >>> await Counter.client(reg.via("hits")).add(5)
        """
        return Via(self, key, value)

    # finding

    def lookup(self, key: Hashable) -> list[Entry]:
        """Who is registered under `key`: (pid, value) each, in the order of their registration."""
        return on_node("lookup", lambda: self._table().of(key))

    def whereis(self, key: Hashable) -> Pid | None:
        """The process that has a unique key."""

        def work() -> Pid | None:
            entries = self._unique("whereis").of(key)
            return entries[0].pid if entries else None

        return on_node("whereis", work)

    def match(self, key: Hashable, pattern: Any) -> list[Entry]:
        """The entries of `key` whose value matches: a type, a predicate or a tuple with `...`, as in `receive`.

        >>> reg.match("temperature", lambda celsius: celsius > 30)
        """
        fits = matcher(pattern)
        return [entry for entry in self.lookup(key) if fits(entry.value)]

    def select(self, predicate: Callable[[Any, Pid, Any], bool] | None = None) -> list[KeyEntry]:
        """All entries, as (key, pid, value), or those for which `predicate(key, pid, value)` is true.

        >>> reg.select(lambda key, pid, value: key[0] == "room")
        """

        def work() -> list[KeyEntry]:
            table = self._table()
            return [KeyEntry(key, *entry) for key in table.entries for entry in table.of(key)]

        return [item for item in on_node("select", work) if predicate is None or predicate(*item)]

    def keys(self, pid: Pid) -> list[Any]:
        """The keys of a process, each as often as it is registered under it."""

        def work() -> list[Any]:
            table = self._table()
            if not lives(pid):
                return []
            return [key for key in table.held.get(pid, ()) for _ in table.entries[key][pid]]

        return on_node("keys", work)

    def count(self) -> int:
        """How many entries there are."""
        return len(self.select())

    # telling all

    def dispatch(self, key: Hashable, fn: Callable[[list[Entry]], object]) -> None:
        """Call `fn(entries)` here, in the caller, unless there are none. It decides whom to send what.

        >>> reg.dispatch("news", lambda entries: [bp.send(pid, story) for pid, wants in entries if wants(story)])
        """
        if entries := self.lookup(key):
            fn(entries)

    def send(self, key: Hashable, message: Any) -> int:
        """Send `message` to every entry of `key`. How many that were."""
        entries = self.lookup(key)
        for pid, _ in entries:
            api.send(pid, message)
        return len(entries)

    # the table

    def _table(self) -> Table:
        return table_of(self.dest, Table)

    def _unique(self, verb: str) -> Table:
        table = self._table()
        if not table.unique:
            raise ValueError(f"{verb} is for unique keys; those of {table.name!r} are duplicate")
        return table

    def __eq__(self, other: object) -> bool:
        return self.dest == other.dest if isinstance(other, Registry) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.dest)

    def __repr__(self) -> str:
        return f"<Registry {self.dest!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Registry, (self.dest,)


class Via:
    """A key of a registry, wherever a destination or a name is expected. `pid` is who has it at the moment."""

    __slots__ = ("key", "registry", "value")

    def __init__(self, registry: Registry, key: Hashable, value: Any = None) -> None:
        self.registry = registry
        self.key = key
        self.value = value

    @property
    def pid(self) -> Pid | None:
        """The process that has the key now; None when nobody has, or the registry does not run."""
        try:
            return self.registry.whereis(self.key)
        except NoProcess:
            return None

    def claim(self) -> None:
        """Register the current process under the key: what a start does with its `name=`."""
        self.registry.register(self.key, self.value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Via):
            return NotImplemented
        return (self.registry, self.key) == (other.registry, other.key)

    def __hash__(self) -> int:
        return hash((self.registry, self.key))

    def __repr__(self) -> str:
        return f"<{self.key!r} in {self.registry!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Via, (self.registry, self.key, self.value)


@api.timed
async def _start(
    name: str | None, keys: Keys, listeners: tuple[str | Pid, ...], timeout: float | None, *, link: bool
) -> Registry:
    if keys not in ("unique", "duplicate"):
        raise ValueError(f"keys: 'unique' or 'duplicate', not {keys!r}")
    start = Keeper.start_link if link else Keeper.start
    # The keeper's own parameter is `name` too, hence positional.
    keeper = await start(name, keys, listeners, name=name, timeout=timeout)
    return Registry(keeper.pid)


__all__ = ["Entry", "KeyEntry", "Registered", "Registry", "Unregistered", "Via"]
