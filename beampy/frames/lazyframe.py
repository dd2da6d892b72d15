"""RemoteLazyFrame: a plan of polars' that is carried out where the data is.

    flights = bp.frames.on("b@localhost").scan_parquet("flights/*.parquet")
    late = flights.filter(pl.col("arr_delay") > 60).group_by("carrier").len()     # nothing is sent
    await late.collect()               # the node optimises all of it, and sends the result
    kept = late.compute()              # the same, and the result stays there: a RemoteDataFrame

Rule: methods only write down what is to be done, as polars' do; one message carries it to the data. What is wrong with
a plan is said when it is carried out, or by `await late.collect_schema()`.

Place: its names are polars' (delegation.py); asking.py sends it. methods.pyi has their types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from beampy.frames import asking
from beampy.frames.asking import Query, Remote, Scan
from beampy.frames.delegation import delegate
from beampy.frames.frame import KINDS, MAKERS, answer, wrapped
from beampy.frames.methods import LazyFrameMethods
from beampy.frames.surface import Gives
from beampy.frames.taking import Taken, taken
from beampy.frames.tree import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec, Self, TypeVar

    import polars as pl

    from beampy.core.node import LocalNode
    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.due import Due
    from beampy.frames.evaluate import Made
    from beampy.handle import Handle

    P = ParamSpec("P")
    T = TypeVar("T")


class RemoteLazyFrame(Remote, LazyFrameMethods):
    """A plan over files or frames of some node. `bp.frames.on(node).scan_parquet(…)` and `df.lazy()` make them.

    Every public method of `polars.LazyFrame` is there; those that give a plan give one here, and nothing is sent.
    `compute` carries it out and leaves the result there, `collect` brings it here, and the sinks write it there.

    >>> flights = bp.frames.on("b@localhost").scan_csv("flights.csv")
    >>> await flights.filter(pl.col("dep_delay") > 60).select(pl.len()).collect()
    """

    __slots__ = ("__weakref__", "_node", "_query_of")
    _kind = "LazyFrame"

    def __init__(self, node: LocalNode | None, query: Query) -> None:
        self._node = node  # None: it came in a message, and is used by whoever uses it
        self._query_of = query

    @property
    def _local(self) -> LocalNode:
        return asking.local_node("lazy") if self._node is None else self._node

    @property
    def _query(self) -> Query:
        return self._query_of

    @property
    def node(self) -> str | None:
        """The node of what it begins with; None as long as that is not decided."""
        root = self._query.root
        return root.node if isinstance(root, Scan) else root.where

    # carried out

    def compute(self, **options: Any) -> RemoteDataFrame:
        """Carry it out there: a handle of the frame, which stays. `options` are those of polars' collect.

        >>> late = await flights.filter(pl.col("arr_delay") > 60).compute()
        """
        frame: RemoteDataFrame = answer(self._local, self._then(_collect(options)), Gives.FRAME)
        return frame

    def collect(self, *, limit: int | None = None, **options: Any) -> Handle[pl.DataFrame]:
        """Carry it out there, and bring the result: the Handle of a polars DataFrame.

        limit: bytes that it may have, FrameTooLarge for more, and it is not sent. `options` are those of polars'
        collect.
        """
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError(f"collect: limit is a number of bytes, or None, not {limit!r}")
        node, query = self._local, self._then(_collect(options))
        return asking.handle(node, lambda: asking.collected(node, query, limit, "DataFrame"), "collect")

    def collect_async(self, **options: Any) -> Handle[pl.DataFrame]:
        """As `collect`, which can be awaited, too."""
        return self.collect(**options)

    def collect_schema(self) -> Handle[pl.Schema]:
        """The names and types of what it gives: the Handle of a polars Schema. The plan is not carried out."""
        return asking.value(self._local, self._then(Step("collect_schema", (), {})), wrapped)

    @property
    def schema(self) -> Handle[pl.Schema]:
        """As `collect_schema()`."""
        return self.collect_schema()

    @property
    def columns(self) -> Handle[list[str]]:
        """The names of its columns."""
        return self._of_schema("names")

    @property
    def dtypes(self) -> Handle[list[pl.DataType]]:
        """The types of its columns."""
        return self._of_schema("dtypes")

    @property
    def width(self) -> Handle[int]:
        """The number of its columns."""
        return self._of_schema("len")

    def _of_schema(self, name: str) -> Handle[Any]:
        query = self._then(Step("collect_schema", (), {}), Step(name, (), {}))
        return asking.value(self._local, query, wrapped)

    # written down

    def lazy(self) -> RemoteLazyFrame:
        """Itself."""
        return self

    def pipe(self, function: Callable[Concatenate[Self, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(self, *args, **kwargs)`, here, with this plan."""
        return function(self, *args, **kwargs)

    def clear(self, n: int = 0) -> RemoteLazyFrame:
        """A plan that gives no rows, or `n` of nulls, with the same columns."""
        return self._ask(Gives.LAZY, Step("clear", (n,), {}))  # type: ignore[no-any-return]

    def show(self, limit: int | None = 5, **options: Any) -> None:
        """Print its first rows, as polars' show. On a thread only: `print(await lf.head().collect())` elsewhere."""
        first = self if limit is None else self.head(limit)
        first.collect().result().show(limit, **options)

    def _then(self, *steps: Step) -> Query:
        query = self._query
        return Query(query.root, (*query.steps, *taken(steps)))

    def _ask(self, gives: Gives, step: Step) -> Any:
        query = self._then(step)
        if gives is Gives.LAZY:
            return RemoteLazyFrame(self._node, query)
        return answer(self._local, query, gives)

    # as a Python object

    def __copy__(self) -> RemoteLazyFrame:
        return RemoteLazyFrame(self._node, self._query)

    def __deepcopy__(self, memo: Any) -> RemoteLazyFrame:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return rebuilt, asking.parted(self._query)

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a plan is not compared with anything, as polars' LazyFrame is not: compare what it gives")

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise TypeError("truth: a plan has none; ask there: (await lf.compute()).is_empty()")

    if TYPE_CHECKING:  # so that a checker says it, too
        __len__: None
        __iter__: None
        __contains__: None

    else:

        def __len__(self) -> NoReturn:
            raise TypeError("len: a plan has none; ask there: lf.select(pl.len())")

        def __iter__(self) -> NoReturn:
            raise TypeError("iteration: a plan has no rows: async for part in lf.compute().iter_slices()")

        def __contains__(self, name: Any) -> NoReturn:
            raise TypeError("`in`: what a plan gives is known on the node: name in await lf.columns")

    def __getitem__(self, key: slice) -> RemoteLazyFrame:
        if not isinstance(key, slice):
            raise TypeError("[]: of a plan only slices, as of polars' LazyFrame; lf.select(…) takes columns")
        return RemoteLazyFrame(self._local, self._then(Step("__getitem__", (key,), {})))

    def __repr__(self) -> str:
        from beampy.frames.plan_text import text

        return text(self)

    def _repr_html_(self) -> str:
        from beampy.frames.plan_text import html

        return html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from beampy.frames.plan_text import bundle

        return bundle(self)


def _collect(options: dict[str, Any]) -> Step:
    """The step that carries a plan out. TypeError for `background`, whose answer could not leave the node."""
    if options.get("background"):
        raise TypeError(
            "background: what collect and compute give is a handle already, and the work goes on beside you"
        )
    return Step("collect", (), options)


def rebuilt(frames: list[Made], nodes: list[str], trees: list[tuple[Any, Any]]) -> RemoteLazyFrame:
    """A plan that came in a message."""
    from beampy.frames.due import Due

    node = frames[0].ref.refs.node if frames else None
    dues = [Due.known(made.ref.refs.node, made) for made in frames]
    return RemoteLazyFrame(node, asking.joined(dues, nodes, trees, Taken))


delegate(RemoteLazyFrame, "LazyFrame")


def _over(due: Due) -> RemoteLazyFrame:
    """A plan that is an object on a node."""
    return RemoteLazyFrame(due.node, Query(due))


def _made(node: LocalNode, query: Query) -> RemoteLazyFrame:
    return RemoteLazyFrame(node, query)


KINDS["LazyFrame"] = _over
MAKERS[Gives.LAZY] = _made
