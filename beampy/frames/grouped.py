"""RemoteGroupBy, RemoteWindowGroupBy and RemoteLazyGroupBy: what `group_by`, `group_by_dynamic` and `rolling` give.

Rule: nothing is asked until something is done with the groups; then both are one message. All public names of polars'
GroupBy are there. Groups are not iterated over from afar: `await df.partition_by(…)` leaves the parts there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from beampy.frames.asking import Query
from beampy.frames.delegation import delegate
from beampy.frames.frame import MAKERS, answer
from beampy.frames.methods import GroupByMethods, LazyGroupByMethods, WindowGroupByMethods
from beampy.frames.surface import Gives
from beampy.frames.taking import taken

if TYPE_CHECKING:
    from beampy.core.node import LocalNode
    from beampy.frames.tree import Step


class Groups:
    """The groups of a remote frame or plan."""

    __slots__ = ("_node", "_query")
    _kind = ""

    def __init__(self, node: LocalNode, query: Query) -> None:
        self._node = node
        self._query = query

    def _ask(self, gives: Gives, step: Step) -> Any:
        query = Query(self._query.root, (*self._query.steps, *taken((step,))))
        if gives in (Gives.GROUPS, Gives.WINDOWS, Gives.LAZY_GROUPS):
            return type(self)(self._node, query)
        return answer(self._node, query, gives)

    if not TYPE_CHECKING:  # for whom there is none

        def __iter__(self) -> NoReturn:
            raise TypeError(
                "iteration: the groups are on a node. Ask there: await df.partition_by(…) leaves the parts there"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._query.what}>"


class RemoteGroupBy(Groups, GroupByMethods):
    """The groups of a remote frame, as `polars.DataFrame.group_by` gives them.

    >>> await df.group_by("carrier").agg(pl.col("arr_delay").mean()).collect()
    """

    __slots__ = ()
    _kind = "GroupBy"


class RemoteWindowGroupBy(Groups, WindowGroupByMethods):
    """The groups of a remote frame by windows, as `group_by_dynamic` and `rolling` of polars' DataFrame give them."""

    __slots__ = ()
    _kind = "RollingGroupBy"


class RemoteLazyGroupBy(Groups, LazyGroupByMethods):
    """The groups of a remote plan, as `polars.LazyFrame.group_by` gives them."""

    __slots__ = ()
    _kind = "LazyGroupBy"


delegate(RemoteLazyGroupBy, "LazyGroupBy")
delegate(RemoteGroupBy, "GroupBy")
delegate(RemoteWindowGroupBy, "RollingGroupBy")


def _groups(node: LocalNode, query: Query) -> RemoteGroupBy:
    return RemoteGroupBy(node, query)


def _windows(node: LocalNode, query: Query) -> RemoteWindowGroupBy:
    return RemoteWindowGroupBy(node, query)


def _lazy_groups(node: LocalNode, query: Query) -> RemoteLazyGroupBy:
    return RemoteLazyGroupBy(node, query)


MAKERS[Gives.GROUPS] = _groups
MAKERS[Gives.WINDOWS] = _windows
MAKERS[Gives.LAZY_GROUPS] = _lazy_groups
