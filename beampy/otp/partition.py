"""PartitionSupervisor: one child many times, so that no single process is what everybody waits for. Elixir's.

Rule: a key always leads to the same partition, on every node and in every run: an integer by its remainder, anything
else by a hash of what it is made of (Python's own `hash` of text differs from run to run).

Which process has a partition now stands in a table (`tables.py`) that the supervisor keeps and its whole node reads,
so finding it costs no message.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from beampy.core.functions import describe
from beampy.core.ids import Pid, Ref
from beampy.errors import BadSpec, NoProcess
from beampy.otp import tables
from beampy.otp.supervised import ChildLike, as_spec
from beampy.otp.supervisor import Supervisor
from beampy.otp.typed import call

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from beampy.otp.child import ChildSpec
    from beampy.otp.strategy import Strategy


class Partitions(list[Any]):
    """What was started last for each partition: clients or pids, None where there is nothing yet."""


class PartitionSupervisor(Supervisor):
    """Starts `partitions` children of one spec, by default as many as there are CPUs, and tells them apart by a key.

    >>> await bp.PartitionSupervisor.start_link((Cache, 100), name="caches", partitions=8)
    >>> cache = bp.PartitionSupervisor.whereis("caches", "user:17")
    >>> await cache.get("user:17")

    Instead of a child, a function of the partition's number may be given: `lambda i: (Cache, i)`. The ids of the
    children are those numbers. What a child's start gave is what `whereis` gives: a client, or the pid.
    """

    intensity: int = 3

    def __init__(
        self,
        child: ChildLike | Callable[[int], ChildLike],
        *,
        partitions: int | None = None,
        strategy: Strategy | None = None,
        intensity: int | None = None,
        period: float | None = None,
    ) -> None:
        super().__init__((), strategy=strategy, intensity=intensity, period=period)
        count = partitions if partitions is not None else os.cpu_count() or 1
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise BadSpec(f"partitions: needs an int of 1 or more, not {count!r}")
        self._child = child
        self._table = Partitions([None] * count)

    def init(self) -> None:
        """Show the table."""
        tables.own(self._table)

    def children(self) -> Iterable[ChildSpec]:
        """The spec of each partition, its number for an id."""
        return [replace(as_spec(self._child_of(i)), id=i) for i in range(len(self._table))]

    def _child_of(self, i: int) -> Any:
        child: Any = self._child
        if callable(child) and not hasattr(child, "child_spec"):
            return child(i)
        return child

    def _child_started(self, id: Hashable, made: Any) -> None:
        assert isinstance(id, int)
        self._table[id] = made

    @staticmethod
    def whereis(supervisor: Any, key: Any) -> Any:
        """The partition of a key: what its start gave, a client or a pid. NoProcess where there is none.

        The supervisor is given by its name, its pid or a client; NotLocal for one of another node.

        >>> bp.PartitionSupervisor.whereis("caches", ("user", 17))
        <Cache client of <Pid a@host 12>>
        """
        if not isinstance(supervisor, (str, Pid)):
            supervisor = supervisor.pid
        return tables.on_node("whereis", lambda: _entry(supervisor, tables.table_of(supervisor, Partitions), key))

    @call
    async def for_key(self, key: Any) -> Any:
        """The partition of a key, as `whereis`, asked of the supervisor itself: from any node, for a message each."""
        return _entry(self.pid, self._table, key)

    @call
    async def partitions(self) -> int:
        """How many there are."""
        return len(self._table)


def _entry(supervisor: Any, table: Partitions, key: Any) -> Any:
    i = partition_of(key, len(table))
    if table[i] is None:
        raise NoProcess((supervisor, i))
    return table[i]


def partition_of(key: Any, count: int) -> int:
    """The number of the partition, of `count`, that a key leads to. Equal keys lead to the same one.

    >>> partition_of(17, 8), partition_of(-17, 8), partition_of("user:17", 8)
    (1, 1, 4)
    """
    if isinstance(key, int) or (isinstance(key, float) and key.is_integer()):
        return abs(int(key)) % count
    return zlib.crc32(_written(key)) % count


def _written(key: Any) -> bytes:
    """The key as bytes that depend on its value alone."""
    if isinstance(key, str):
        return b"s" + key.encode("utf-8", "surrogatepass")
    if isinstance(key, bytes):
        return b"b" + key
    if isinstance(key, (int, float)):
        return repr(int(key) if key == key // 1 else key).encode()
    if isinstance(key, (tuple, frozenset)):
        parts = [_written(part) for part in key]
        if isinstance(key, frozenset):
            parts.sort()
        return b"t" + b"".join(b"%d:%b" % (len(part), part) for part in parts)
    if isinstance(key, Pid):
        return _written((key.node, key.serial, key.creation))
    if isinstance(key, Ref):
        return _written((key.node, key.id, key.creation))
    plain: Any = object.__repr__
    if key is not None and type(key).__repr__ is plain:
        raise TypeError(f"a {describe(type(key))} is no key of a partition: its repr does not tell its value")
    return b"r" + repr(key).encode("utf-8", "backslashreplace")
