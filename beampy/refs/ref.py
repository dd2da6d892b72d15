"""RemoteRef: a handle of an object that stays where it was made.

    ref = await bp.put(array, node="b@localhost")
    await ref.do.mean()                        # called there; the value comes back
    await ref.get()                            # a copy here; on its own node the object itself

Rule: a handle is small, goes into any message, and keeps its object: that is freed when the last handle on any node is
gone. What takes time returns a Handle, and what does not (repr, ==, hash) never asks another node.

Place: over hold.py, which all handles of an object on this node share; proxy.py has `do` and `keep`, using.py how the
owner is asked. What keeps an object alive on the way to another node is not known here: see ledger.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, TypeVar, overload

from beampy.core.standin import StandIn
from beampy.errors import OwnerLost, RefDropped, RefExpired
from beampy.refs import using
from beampy.refs.proxy import Do, Keep
from beampy.refs.sizes import shown_object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from beampy.handle import Handle
    from beampy.refs.hold import Hold
    from beampy.refs.identity import ObjectId
    from beampy.refs.service import Refs

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


class RemoteRef(StandIn, Generic[T]):
    """A handle of an object on some node. `bp.put`, `bp.remote`, `pool.keep` and `ref.keep` make them.

    As an argument of a remote call or of a pool's call it becomes the object; anywhere else in a message it stays a
    reference. Handles of one object are equal, on all nodes. What a use raises: OwnerLost, RefExpired, RefDropped,
    RefTooLarge (all are RefError), and what the object's own code raises.

    >>> with await bp.put(table, node="b@localhost") as ref:
    ...     rows = await ref.do.filter(name="x").count()
    """

    __slots__ = ("__weakref__", "_hold", "_id", "_nbytes", "_what")

    def __init__(self, hold: Hold, what: str, nbytes: int) -> None:
        self._hold: Hold | None = hold
        self._id = hold.id
        self._what = what
        self._nbytes = nbytes

    # what it is

    @property
    def id(self) -> ObjectId:
        """Which object: its owner, that node's creation, and a number there. RefDropped."""
        return self.hold.id

    @property
    def node(self) -> str:
        """The node that has the object."""
        return self._id.node

    @property
    def what(self) -> str:
        """The name of the object's type."""
        return self._what

    @property
    def nbytes(self) -> int:
        """About how many bytes the object had when it was kept; 0 where that was not known."""
        return self._nbytes

    @property
    def hold(self) -> Hold:
        """What all handles of the object share on this node. RefDropped."""
        hold = self._hold
        if hold is None:
            raise RefDropped(self.shown())
        return hold

    @property
    def refs(self) -> Refs:
        """The references of this node. RefDropped."""
        return self.hold.refs

    def shown(self) -> str:
        """The object in one phrase, for messages: its type, its size, its node."""
        return shown_object(self._what, self._nbytes, self._id.node)

    # use

    def get(self, timeout: float | None = None) -> Handle[T]:
        """The object: on its own node itself, elsewhere a copy, which comes from there directly.

        timeout: seconds (CallTimeout); None, the default, waits as long as it takes. RefTooLarge where the copy does
        not fit into the memory of this host; then nothing was sent.

        >>> array = await ref.get()
        """
        return using.get(self, timeout)

    @overload
    def apply(
        self, fn: Callable[Concatenate[T, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[R]: ...
    @overload
    def apply(self, fn: Callable[Concatenate[T, P], R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    def apply(self, fn: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """`fn(object, *args, **kwargs)`, run where the object is; its value comes back.

        `fn` travels as with `bp.remote_call`. One that is not async runs in a thread there. `ref.keep(fn, …)` is the
        same, and leaves the value there.

        >>> await ref.apply(lambda rows, n: rows[:n], 10)
        """
        return using.apply(self, fn, args, kwargs)

    @property
    def do(self) -> Do:
        """The object's own methods, attributes and items: `await ref.do.method(…)`. See proxy.py."""
        return Do(self)

    @property
    def keep(self) -> Keep:
        """The same as `do`, and what comes out stays there: the Handle of a RemoteRef."""
        return Keep(self)

    async def value_here(self) -> T:
        """The object, for a function on this node that has it as an argument."""
        found: T = await using.get(self, None)
        return found

    # the end

    def drop(self) -> None:
        """This handle is over. The last one of an object, anywhere, lets go of it. RefDropped for the second time.

        Not needed where Python frees the handle: that does the same.
        """
        if self._hold is None:
            raise RefDropped(self.shown())
        self._hold = None

    def __enter__(self) -> RemoteRef[T]:
        if self._hold is None:
            raise RefDropped(self.shown())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._hold = None

    # as a Python object

    def another(self) -> RemoteRef[T]:
        """Another handle of the same object. RefDropped."""
        return RemoteRef(self.hold, self._what, self._nbytes)

    def __copy__(self) -> RemoteRef[T]:
        return self.another()

    def __deepcopy__(self, memo: Any) -> RemoteRef[T]:
        return self.another()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled: a reference lives as long as nodes know who has it. Send it in a message, or "
            "pickle the object: await ref.get()"
        )

    def __eq__(self, other: object) -> bool:
        return self._id == other._id if isinstance(other, RemoteRef) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        hold = self._hold
        trouble = None if hold is None else hold.refs.trouble(self._id)
        if hold is None:
            state = ": dropped"
        elif isinstance(trouble, OwnerLost):
            state = ": lost"
        elif isinstance(trouble, RefExpired):
            state = ": expired"
        else:
            state = ""
        return f"<RemoteRef {self.shown()}{state}>"

    def __bool__(self) -> bool:
        return True

    if not TYPE_CHECKING:  # to type checkers these are not there at all

        def __getattr__(self, name: str) -> NoReturn:
            what = f"a RemoteRef has no attribute {name!r}"
            hint = "" if name.startswith("_") else f"; the object's own is await ref.do.{name}, or ref.do.{name}(…)"
            raise AttributeError(what + hint, name=name, obj=self)

        def __len__(self) -> NoReturn:
            raise self._not_here("len", "await ref.do.__len__()")

        def __getitem__(self, key: Any) -> NoReturn:
            raise self._not_here("indexing", "await ref.do[…]")

        def __iter__(self) -> NoReturn:
            raise self._not_here("iteration", "await ref.do[start:stop]")

        def __contains__(self, item: Any) -> NoReturn:
            raise self._not_here("`in`", "await ref.do.__contains__(…)")

        def _not_here(self, what: str, remedy: str) -> TypeError:
            return TypeError(f"{what}: {self!r} is a reference, not the object. Ask where it is: {remedy}; or bring it")
