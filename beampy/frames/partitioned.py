"""PartitionedFrame: one frame whose rows are on several nodes, in partitions.

    flights = bp.frames.over(nodes).scan_parquet("flights/*.parquet")      # or pool.frames(load, range(1, 13))
    late = flights.filter(pl.col("arr_delay") > 60)                        # written down
    await late.group_by("carrier").agg(pl.col("arr_delay").mean()).collect()

Rule: what it gives is what polars gives on the partitions put together, in their order; only float sums may be rounded
otherwise. So what each partition can do for itself is pushed to it (pushing.py), aggregations are taken apart and
merged (aggregates.py), small frames are joined on every node, and all else is refused with what to do instead.
Nothing is asked of a node before a result is.

Place: the class. How partitions are asked is queries.py's, what they are partitions.py's.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn, Self

import polars as pl

import beampy.frames.dataframe  # noqa: F401 - so that all handles know each other
from beampy.errors import BadFunction
from beampy.frames import asking, bringing, joining, merging, queries, writing
from beampy.frames.aggregates import carried_columns, has_aggregates, whole
from beampy.frames.computed import Computed, mapped
from beampy.frames.due import Due
from beampy.frames.expressions import parsed
from beampy.frames.pushing import PUSHED, check_join, refusal
from beampy.frames.taking import taken
from beampy.frames.tree import Step, shown
from beampy.otp.rpc_function import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from beampy.frames.aggregates import Aggregation
    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.lazyframe import RemoteLazyFrame
    from beampy.frames.partitioned_groups import PartitionedGroupBy
    from beampy.frames.partitions import Source
    from beampy.frames.writing import Written
    from beampy.handle import Handle

ROWS = 5  # of head, as polars


class PartitionedFrame:
    """A frame in partitions on several nodes: `bp.frames.over`, `pool.frames` and `bp.frames.concat` make them.

    It has the methods of a polars LazyFrame that partitions can do: filter, select, with_columns, drop, rename, cast,
    fill_null, drop_nulls, explode and the like give another one, and nothing is sent. `group_by(…).agg(…)`, `select` of
    aggregates and `head` give a RemoteDataFrame at once, on one of the nodes. NotPartitioned for what is not done so:
    at once where the method says it, else when it is asked, before rows are computed.

    A query fails with PartitionFailed, which names the partition, or gives all rows: never some of them.
    """

    __slots__ = ("__weakref__", "_begun", "_source", "_steps")
    _kind = "PartitionedFrame"

    def __init__(self, source: Source, steps: tuple[Step, ...] = (), begun: Due | None = None) -> None:
        self._source = source
        self._steps = steps
        self._begun = begun  # what `compute` has begun, which goes on as long as somebody has such a frame

    # what partitions do for themselves

    def _pushed(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PartitionedFrame:
        return PartitionedFrame(self._source, (*self._steps, *taken((Step(name, args, kwargs),))), self._begun)

    def filter(self, *predicates: Any, **constraints: Any) -> PartitionedFrame:
        """As polars' filter."""
        return self._pushed("filter", predicates, constraints)

    def remove(self, *predicates: Any, **constraints: Any) -> PartitionedFrame:
        """As polars' remove."""
        return self._pushed("remove", predicates, constraints)

    def with_columns(self, *exprs: Any, **named_exprs: Any) -> PartitionedFrame:
        """As polars' with_columns, with expressions each row of which stands alone."""
        return self._pushed("with_columns", exprs, named_exprs)

    def select(self, *exprs: Any, **named_exprs: Any) -> Any:
        """As polars' select: of columns a PartitionedFrame; of aggregates a RemoteDataFrame with one row, at once.

        >>> await flights.select(pl.len(), pl.col("arr_delay").mean()).collect()
        """
        found = parsed(exprs, named_exprs)
        if any(map(has_aggregates, found)):
            return self._aggregated(lambda schema: whole(schema, found), "select")
        return self._pushed("select", tuple(found), {})

    def drop(self, *columns: Any, strict: bool = True) -> PartitionedFrame:
        """As polars' drop."""
        return self._pushed("drop", columns, {"strict": strict})

    def rename(self, mapping: Any, *, strict: bool = True) -> PartitionedFrame:
        """As polars' rename. A function is called here, when the names are known."""
        return self._pushed("rename", (mapping,), {"strict": strict})

    def cast(self, dtypes: Any, *, strict: bool = True) -> PartitionedFrame:
        """As polars' cast."""
        return self._pushed("cast", (dtypes,), {"strict": strict})

    def join(
        self,
        other: Any,
        on: Any = None,
        how: str = "inner",
        *,
        left_on: Any = None,
        right_on: Any = None,
        limit: int = joining.BROADCAST,
        **options: Any,
    ) -> PartitionedFrame:
        """Join each partition with a small frame, which goes once to each node: a frame or plan here, or of any node.

        how: inner, left, semi or anti. limit: bytes that the small frame may have, 256 MB; MergeTooLarge for more.
        The other options are those of polars' join.

        >>> named = delays.join(airlines, on="carrier", how="left")
        """
        check_join(how, options)
        small = joining.Small(self._source.node, other, limit)
        kwargs = {"on": on, "left_on": left_on, "right_on": right_on, "how": how, **options}
        return self._pushed("join", (small,), {name: value for name, value in kwargs.items() if value is not None})

    def map_partitions(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> PartitionedFrame:
        """`fn(frame, *args, **kwargs)` of each partition, a polars DataFrame, on its node: what it gives, as a frame.

        It is called once for each partition, when a result is asked for, and what it gave is kept there as long as this
        frame is; once more where its node is lost and the partition is had elsewhere. It may give a frame of polars,
        pandas or pyarrow, with the same columns for all. It is a plain function, which travels as with `pool.call`;
        PartitionFailed has what it raised as its cause.

        >>> scored = flights.map_partitions(score, model)
        """
        if not callable(fn) or kind_of("map_partitions", fn) != "plain":
            raise BadFunction("map_partitions", f"{fn!r}", "a plain function of a frame that returns a frame")
        (step,) = taken((mapped(fn, args, kwargs),))
        return PartitionedFrame(Computed(self._source, self._steps, step), (), self._begun)

    def pipe(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """`function(self, *args, **kwargs)`, here, with this frame."""
        return function(self, *args, **kwargs)

    def lazy(self) -> Self:
        """Itself: it is written down already."""
        return self

    # aggregations

    def group_by(self, *by: Any, maintain_order: bool = False, **named_by: Any) -> PartitionedGroupBy:
        """The groups of all partitions, for `agg` and its shortcuts.

        >>> flights.group_by("carrier").agg(pl.col("arr_delay").mean(), pl.len())
        """
        from beampy.frames.partitioned_groups import PartitionedGroupBy

        return PartitionedGroupBy(self, parsed(by, named_by), maintain_order)

    def _aggregated(self, plan: Callable[[pl.Schema], Aggregation], what: str) -> RemoteDataFrame:
        return merging.aggregated(self._source, self._steps, plan, what)

    def _column_by_column(self, name: str, *args: Any, **kwargs: Any) -> RemoteDataFrame:
        return self._aggregated(lambda schema: whole(schema, carried_columns(schema, name, args, kwargs)), name)

    def sum(self) -> RemoteDataFrame:
        """The sum of each column: one row."""
        return self._column_by_column("sum")

    def mean(self) -> RemoteDataFrame:
        """The mean of each column: one row."""
        return self._column_by_column("mean")

    def min(self) -> RemoteDataFrame:
        """The least value of each column: one row."""
        return self._column_by_column("min")

    def max(self) -> RemoteDataFrame:
        """The greatest value of each column: one row."""
        return self._column_by_column("max")

    def median(self) -> RemoteDataFrame:
        """The median of each column: one row. All values go to one node: MergeTooLarge for more than 1 GB."""
        return self._column_by_column("median")

    def quantile(self, quantile: float, interpolation: Any = "nearest") -> RemoteDataFrame:
        """A quantile of each column: one row. All values go to one node: MergeTooLarge for more than 1 GB."""
        return self._column_by_column("quantile", quantile, interpolation)

    def std(self, ddof: int = 1) -> RemoteDataFrame:
        """The standard deviation of each column: one row."""
        return self._column_by_column("std", ddof)

    def var(self, ddof: int = 1) -> RemoteDataFrame:
        """The variance of each column: one row."""
        return self._column_by_column("var", ddof)

    def count(self) -> RemoteDataFrame:
        """How many values each column has: one row."""
        return self._column_by_column("count")

    def null_count(self) -> RemoteDataFrame:
        """How many nulls each column has: one row."""
        return self._column_by_column("null_count")

    def head(self, n: int = ROWS) -> RemoteDataFrame:
        """The first rows, of the first partition, and of the next ones only where it has not so many."""
        if not isinstance(n, int) or n < 0:
            raise ValueError(f"head: it takes a number of rows, 0 or more, and not {n!r}")
        return merging.head(self._source, self._steps, n)

    limit = head

    # results

    def collect(self, *, limit: int | None = None) -> Handle[pl.DataFrame]:
        """Bring all of it here, from all nodes at the same time: the Handle of a polars DataFrame.

        limit: bytes that it may have, FrameTooLarge for more, and nothing is sent. Without one a warning says so of a
        gigabyte and more. The partitions are computed on their nodes first.
        """
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError(f"collect: limit is a number of bytes, or None, not {limit!r}")
        source, steps = self._source, self._steps
        return self._handle(lambda: bringing.collected(source, steps, limit), "collect")

    def compute(self) -> PartitionedFrame:
        """Compute the partitions, which stay on their nodes: a frame of these, at once; the work has begun there.

        `await` it to see that it went well. They are kept as long as the frame is.
        """
        kept = isinstance(self._source, Computed) and not self._steps  # that of map_partitions is what it computes
        source = self._source if kept else Computed(self._source, self._steps)
        due: Any = Due(source.node, "compute of a partitioned frame")
        return PartitionedFrame(source, (), due.begin(source.parts))

    def __await__(self) -> Generator[Any, Any, Self]:
        """Until it is known which partitions there are, and what columns they have; where `compute` or
        `map_partitions` made it, until they are computed. Itself."""
        if self._begun is not None:
            yield from self._begun.__await__()
        yield from self.schema.__await__()
        return self

    def cancel(self) -> bool:
        """Stop what `compute` has begun. False where nothing is under way."""
        return self._begun is not None and self._begun.cancel()

    def partitions(self) -> Handle[list[RemoteLazyFrame]]:
        """The partitions, each a plan on its node with what was written down so far, in their order."""
        from beampy.frames.lazyframe import RemoteLazyFrame

        source, steps = self._source, self._steps

        async def work() -> list[RemoteLazyFrame]:
            ready = await queries.prepared(source, steps)

            async def ask(part: Any, query: Any) -> RemoteLazyFrame:
                return RemoteLazyFrame(source.node, await queries.planned(ready, part, query))

            return await queries.every(source, ask)

        return self._handle(work, "partitions")

    def explain(self, **options: Any) -> Handle[str]:
        """How a partition is computed, as polars explains it on its node: all steps are one plan there."""
        source, steps = self._source, self._steps
        return self._handle(lambda: bringing.explained(source, steps, options), "explain")

    def to_dask(self, client: Any) -> Any:
        """A dask dataframe of the partitions, for what needs all rows together. `client` is one of `pool.dask()`.

        On a thread it is there when this returns; with a client of async code, `await` it.

        >>> ddf = flights.to_dask(pool.dask())
        """
        from beampy.frames import dask_frames
        from beampy.frames.dask_client import AsyncPoolClient

        if not isinstance(client, AsyncPoolClient) and self._source.node.thread != get_ident():
            return dask_frames.to_dask(self.partitions().result(), client)

        async def work() -> Any:
            found = dask_frames.to_dask(await self.partitions(), client)
            return await found if hasattr(found, "__await__") else found

        return work()

    def _sink(self, verb: str, directory: Any, options: dict[str, Any]) -> Handle[list[Written]]:
        source, steps = self._source, self._steps
        return self._handle(lambda: writing.sink(source, steps, verb, str(directory), options), verb)

    def sink_parquet(self, directory: Any, **options: Any) -> Handle[list[Written]]:
        """Each node writes its partitions into this directory of its own, `part-00000.parquet` and so on; the Handle of
        what was written, by node, path and bytes. `options` are those of polars' sink_parquet.

        A file is there whole or not at all. FileExistsError where the directory has parts already; PartitionFailed
        says in a note which parts were written.

        >>> await flights.filter(pl.col("dep_delay") > 0).sink_parquet("late")
        """
        return self._sink("sink_parquet", directory, options)

    def sink_csv(self, directory: Any, **options: Any) -> Handle[list[Written]]:
        """As sink_parquet, `part-00000.csv`."""
        return self._sink("sink_csv", directory, options)

    def sink_ipc(self, directory: Any, **options: Any) -> Handle[list[Written]]:
        """As sink_parquet, `part-00000.arrow`."""
        return self._sink("sink_ipc", directory, options)

    def sink_ndjson(self, directory: Any, **options: Any) -> Handle[list[Written]]:
        """As sink_parquet, `part-00000.ndjson`."""
        return self._sink("sink_ndjson", directory, options)

    # what it is

    def _handle(self, work: Callable[[], Coroutine[Any, Any, Any]], what: str) -> Handle[Any]:
        """The Handle of a query. The frame is kept until it has ended, and what it has begun goes on so long."""

        async def kept(frame: PartitionedFrame = self) -> Any:
            try:
                return await work()
            finally:
                del frame

        return asking.handle(self._source.node, kept, what)

    def _ready(self, read: Callable[[queries.Ready], Any], what: str) -> Handle[Any]:
        source, steps = self._source, self._steps

        async def work() -> Any:
            return read(await queries.prepared(source, steps))

        return self._handle(work, what)

    @property
    def schema(self) -> Handle[pl.Schema]:
        """Its columns: the Handle of a polars Schema. PartitionsDiffer, NotPartitioned."""
        return self._ready(lambda ready: ready.schema, "schema")

    def collect_schema(self) -> Handle[pl.Schema]:
        """As `schema`."""
        return self.schema

    @property
    def columns(self) -> Handle[list[str]]:
        """The names of its columns."""
        return self._ready(lambda ready: ready.schema.names(), "columns")

    @property
    def dtypes(self) -> Handle[list[Any]]:
        """The types of its columns."""
        return self._ready(lambda ready: ready.schema.dtypes(), "dtypes")

    @property
    def width(self) -> Handle[int]:
        """The number of its columns."""
        return self._ready(lambda ready: len(ready.schema), "width")

    @property
    def height(self) -> Handle[int]:
        """The number of its rows, counted on the nodes."""
        source, steps = self._source, self._steps
        return self._handle(lambda: bringing.height(source, steps), "height")

    @property
    def n_partitions(self) -> Handle[int]:
        """How many partitions it has."""
        return self._handle(lambda: bringing.count(self._source), "n_partitions")

    @property
    def nodes(self) -> Handle[list[str]]:
        """The nodes that have partitions, in the order of these."""
        return self._handle(lambda: bringing.nodes(self._source), "nodes")

    # as a Python object

    def __getattr__(self, name: str) -> Callable[..., PartitionedFrame]:
        if name.startswith("_") or not hasattr(pl.LazyFrame, name):
            raise AttributeError(f"a PartitionedFrame has no {name!r}, and polars neither", name=name, obj=self)
        if name not in PUSHED:
            raise refusal(name)

        def method(*args: Any, **kwargs: Any) -> PartitionedFrame:
            return self._pushed(name, args, kwargs)

        method.__name__ = name
        method.__doc__ = getattr(pl.LazyFrame, name).__doc__
        return method

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *PUSHED})

    def __copy__(self) -> PartitionedFrame:
        return PartitionedFrame(self._source, self._steps, self._begun)

    def __deepcopy__(self, memo: Any) -> PartitionedFrame:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a PartitionedFrame belongs to who made it; send what it gives, or a partition of it")

    def __bool__(self) -> NoReturn:
        raise TypeError("truth: its rows are on other nodes. Ask there: await frame.height")

    def __len__(self) -> NoReturn:
        raise TypeError("len: its rows are on other nodes. Ask there: await frame.height")

    def __iter__(self) -> NoReturn:
        raise TypeError("iteration: its rows are on other nodes: for part in await frame.partitions()")

    def __getitem__(self, key: Any) -> NoReturn:
        raise TypeError("[]: its rows are on other nodes: frame.select(…) takes columns, frame.head(n) the first rows")

    def __repr__(self) -> str:
        steps = shown(self._steps) if self._steps else ""
        return f"<PartitionedFrame {bringing.about(self._source)}{'; ' if steps else ''}{steps}>"

    def _repr_html_(self) -> str:
        return bringing.html(self)
