"""What remote data frames and series have in common: a handle of something of polars' that is on some node.

Rule: the handle is there at once, and what it is a handle of is being made, or is there. It keeps it: when the last
handle is gone, anywhere, the memory is free. What needs an answer at once (`len`, iteration, truth) is a TypeError that
says what to do instead; repr waits a second at most, and never fails.

Place: under dataframe.py and series.py; over due.py, and asking.py for all that is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from beampy.core.standin import StandIn
from beampy.errors import RefDropped
from beampy.frames import asking
from beampy.frames.asking import Query, Remote
from beampy.frames.due import Due
from beampy.frames.evaluate import Made
from beampy.frames.surface import Gives
from beampy.frames.taking import taken
from beampy.frames.tree import Step
from beampy.pool.rebuilding import newest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import TracebackType

    from beampy.core.node import LocalNode
    from beampy.handle import Handle
    from beampy.refs.ref import RemoteRef


class RemoteFrame(Remote, StandIn):
    """A handle of a frame or a series on some node. See RemoteDataFrame and RemoteSeries."""

    __slots__ = ("__weakref__", "_held", "_seen")
    _kind = ""  # the class of polars that it stands for

    def __init__(self, due: Due) -> None:
        self._held: Due | None = due
        self._seen: Any = None  # what a preview has brought

    # what it is

    @property
    def _due(self) -> Due:
        due = self._held
        if due is None:
            raise RefDropped(f"a Remote{self._kind}")
        settled = due.settled()
        if settled is not due:
            self._held, self._seen = settled, None
        return settled

    @property
    def _query(self) -> Query:
        return Query(self._due)

    @property
    def _local(self) -> LocalNode:
        return self._due.node

    @property
    def ref(self) -> RemoteRef[Any]:
        """The reference under it. FrameDue where it is still being made."""
        return self._due.there().ref

    @property
    def id(self) -> Any:
        """Which object it is. FrameDue where it is still being made."""
        return self.ref.id

    @property
    def node(self) -> str | None:
        """The node that has it; None as long as that is not decided. Where it was made again, that of the new one."""
        due = self._due
        return newest(due.there().ref).node if due.ready else due.where

    @property
    def nbytes(self) -> int:
        """About how many bytes it has there; 0 as long as that is not known."""
        due = self._due
        return due.there().ref.nbytes if due.ready else 0

    # when it is there

    def __await__(self) -> Generator[Any, Any, Self]:
        try:
            yield from self._due.__await__()
            return self
        finally:
            del self  # a failure has this frame in its traceback: they are not to keep each other

    def wait(self, timeout: float | None = None) -> Self:
        """Wait on this thread until it is made, at most `timeout` seconds (TimeoutError); itself. Raises its failure.

        >>> df = bp.frames.on("b@localhost").read_csv("flights.csv").wait()
        """
        try:
            self._due.result(timeout)
            return self
        finally:
            del self  # as in `__await__`

    def done(self) -> bool:
        """Whether it is made, or has failed."""
        return self._due.done()

    def cancel(self) -> bool:
        """Stop making it, for all who have it. False where it is made."""
        return self._due.cancel()

    def coming(self) -> Awaitable[Any] | None:
        """Until it is made: a call that has it as an argument waits for it."""
        due = self._due
        return None if due.ready else due

    def renewed(self, newest: Callable[[Any], Any]) -> StandIn:
        """The same over the frame that was made in the place of a lost one."""
        made = self._due.there()
        ref = newest(made.ref)
        return self if ref is made.ref else type(self)(Due.known(self._local, made._replace(ref=ref)))

    @property
    def parts(self) -> tuple[Any, ...]:
        """The reference under it, for pools, which look where an argument is; none as long as it is being made."""
        return (self.ref,) if self._due.ready else ()

    async def value_here(self) -> Any:
        """The frame, for a function on this node that has it as an argument."""
        return await asking.collected(self._local, self._query, None, self._kind)

    # moving

    def collect(self, *, limit: int | None = None) -> Handle[Any]:
        """Bring it here: the Handle of polars' own frame. Where it is here already nothing is copied.

        limit: bytes that it may have, FrameTooLarge for more, and nothing is sent. Without one a warning says so of a
        gigabyte and more. RefTooLarge where it does not fit into the memory that is free here.

        >>> small = await df.group_by("carrier").len().collect()
        """
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError(f"collect: limit is a number of bytes, or None, not {limit!r}")
        node, query, kind = self._local, self._query, self._kind
        return asking.handle(node, lambda: asking.collected(node, query, limit, kind), "collect")

    def to_node(self, node: str) -> Self:
        """The same on another node: a copy, which goes there directly. Where it is there already, itself.

        >>> there = df.to_node("c@localhost")
        """
        from beampy.frames.moving import moved

        return type(self)(moved(self._due, node))

    def release(self) -> None:
        """This handle is over. Python's own freeing of it does the same."""
        self._held = None
        self._seen = None

    def __enter__(self) -> Self:
        self._due  # noqa: B018 - RefDropped where it is over
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    # asking

    def _ask(self, gives: Gives, *steps: Step) -> Any:
        if steps[-1].kwargs.get("in_place") is True:
            return self._become(*steps)
        return answer(self._local, Query(self._due, taken(steps)), gives)

    def _become(self, *steps: Step) -> Self:
        """This handle is from now on one of what the steps make of it: polars' methods that change a frame in place.
        Where they fail it is what it was, as soon as somebody has been told."""
        before = self._due
        due = asking.begin(self._local, Query(before, taken(steps)), self._kind)
        self._held, self._seen = due.changes(before), None
        return self

    # as a Python object

    def __copy__(self) -> Self:
        return type(self)(self._due)

    def __deepcopy__(self, memo: Any) -> Self:
        return type(self)(self._due)

    def __reduce_ex__(self, protocol: Any) -> Any:
        made = self._due.there()
        return rebuilt, (made.kind, made.ref, made.shape)

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise self._not_here("truth", "await df.is_empty()", "await s.is_empty(), await s.any()")

    if TYPE_CHECKING:  # so that a checker says it, too
        __len__: None
        __iter__: None
        __contains__: None

    else:

        def __len__(self) -> NoReturn:
            raise self._not_here("len", "await df.height", "await s.len()")

        def __iter__(self) -> NoReturn:
            raise self._not_here(
                "iteration",
                "async for part in df.iter_slices()",
                "await s.to_list(); where an expression was to have it, df.filter(…) and df.with_columns(…) take it",
            )

        def __contains__(self, item: Any) -> NoReturn:
            raise self._not_here("`in`", "name in await df.columns", "await s.is_in([value]).any()")

        def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
            raise self._not_here("an array of it", "await df.to_numpy()", "await s.to_numpy()")

        def __array_ufunc__(self, *args: Any, **kwargs: Any) -> NoReturn:
            raise self._not_here("a function of numpy", "df.select(…), or df.ref.apply(fn)", "s.ref.apply(fn)")

    def _not_here(self, what: str, of_frame: str, of_series: str) -> TypeError:
        remedy = of_series if self._kind == "Series" else of_frame
        return TypeError(f"{what}: this Remote{self._kind} is a handle of what is on a node. Ask there: {remedy}")

    def __repr__(self) -> str:
        from beampy.frames.preview import text

        return text(self)

    def _repr_html_(self) -> str:
        from beampy.frames.preview import html

        return html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from beampy.frames.preview import bundle

        return bundle(self)


class Namespace:
    """The methods of a kind of values, such as `series.str`."""

    __slots__ = ("_of", "_path")
    _kind = ""

    def __init__(self, of: RemoteFrame, path: str) -> None:
        self._of = of
        self._path = path

    def _ask(self, gives: Gives, step: Step) -> Any:
        return self._of._ask(gives, Step(self._path, None, {}), step)

    def _get_item(self, key: Any) -> Any:
        gives = Gives.VALUE if self._kind == "Series.dt" else Gives.SERIES  # one time, or one of each row
        return self._ask(gives, Step("__getitem__", (key,), {}))

    def __repr__(self) -> str:
        return f"<{self._path} of a Remote{self._of._kind}>"


# handles of what comes out


def answer(node: LocalNode, query: Query, gives: Gives) -> Any:
    """What a query gives, as it is for users: a handle of a frame at once, or the Handle of a value."""
    made = MAKERS.get(gives)
    if made is not None:
        return made(node, query)
    return asking.value(node, query, wrapped)


def wrapped(node: LocalNode, value: Any) -> Any:
    """A value that has come, with handles for the frames that have stayed."""
    if isinstance(value, Made):
        return of(node, value)
    kind = value.__class__
    if kind is list and any(isinstance(each, Made) for each in value):
        return [wrapped(node, each) for each in value]
    if kind is tuple and any(isinstance(each, Made) for each in value):
        return tuple(wrapped(node, each) for each in value)
    if kind is dict and any(isinstance(each, Made) for each in value.values()):
        return {key: wrapped(node, each) for key, each in value.items()}
    return value


def of(node: LocalNode, made: Made) -> Any:
    """The handle of a frame that is there."""
    if made.kind not in KINDS:
        import beampy.frames.dataframe  # noqa: F401 - which has all of them: the first frame here came in a message
    return KINDS[made.kind](Due.known(node, made))


def rebuilt(kind: str, ref: RemoteRef[Any], shape: tuple[int, ...] | None) -> Any:
    """A handle that came in a message."""
    return of(ref.refs.node, Made(ref, kind, shape))


KINDS: dict[str, Callable[[Due], Any]] = {}  # by the kind of frame: dataframe.py, lazyframe.py and series.py fill it
MAKERS: dict[Gives, Callable[[LocalNode, Query], Any]] = {}
