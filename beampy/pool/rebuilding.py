"""Rebuilding: an object that was lost with its runner is made again, by the call that made it.

    rows = await pool.options(rebuild=True).keep(load, path)
    await pool.call(total, rows)          # its runner was killed: `load` runs again, elsewhere, and then `total`

Rule: the handle that such a call gives remembers the call, function and arguments; references among these are kept by
it. When the owner is lost, whoever uses the handle on the node that made it (`get`, `do`, `apply`, or as an argument of
a call of a pool) has the call run again, and goes on with the new object. Several who find it lost at once share one
run. So does every copy of the handle here; handles on other nodes know nothing of the call and raise OwnerLost. An
object is made again `retries` times, 3 where the options do not say: then OwnerLost comes as it is.

The function is run again, so it must be one that may be; what has been done to the lost object is lost, and what was
asked of it in that moment (`do`, `apply`) is asked again of the new one. The handle
stays itself: it is equal to what it was equal to and has the id that it had, of the object that was lost.

An argument that does not exist yet, such as a frame that is still being made, is waited for the same way.

Place: `Lineage` is what a hold of refs/ calls when its owner is lost; `Renewing` is a call of a pool that has such
handles among its arguments, or whose value is one. References inside other arguments are not looked at.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from beampy.core.request import ANSWERED, WAITING
from beampy.core.standin import FETCHED, StandIn
from beampy.errors import OwnerLost, PoolClosed
from beampy.pool.call import PoolCall, Remains
from beampy.pool.nearness import references
from beampy.pool.scatter import Piece
from beampy.refs.ref import RemoteRef
from beampy.refs.using import told

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from beampy.pool.calls import Calls
    from beampy.pool.manager import Manager
    from beampy.refs.hold import Hold

TIMES = (
    3  # times that an object is made again, where `retries` says no number: more is a machine that kills its runners
)


class Lineage:
    """How one object was made. `made` is what was made in its place; `left` how often it may be made again.

    It never refers to the handle or the hold of its own object: these are freed by counting references.
    """

    __slots__ = ("_args", "_calls", "_fn", "_kwargs", "_making", "_options", "_times", "left", "made")

    def __init__(self, call: Renewing, left: int) -> None:
        self._calls = call.calls
        self._fn, self._args, self._kwargs = call.function, call.kept_args, call.kept_kwargs
        self._options = call.options
        self._times = call.options.retries or TIMES
        self.left = left
        self.made: RemoteRef[Any] | None = None
        self._making: asyncio.Future[BaseException | None] | None = None

    async def __call__(self, lost: OwnerLost) -> RemoteRef[Any]:
        """The object that stands for the one that was lost, made now if need be. `lost` where it cannot be made, or
        what the call raised."""
        from asyncio import shield

        if self.made is None:
            if self._making is None:
                self._making = self._make(lost)
            error = await shield(self._making)  # which others may wait for as well
            if error is not None:
                raise error
        assert self.made is not None
        return self.made

    def _make(self, lost: OwnerLost) -> asyncio.Future[BaseException | None]:
        """Run the call again. The future has its error."""
        calls = self._calls
        try:
            manager = calls._at_work()
        except PoolClosed as closed:
            lost.add_note(f"It was not made again: {closed}")
            raise lost from closed
        if self.left <= 0:
            lost.add_note(f"It was made again {self._times} times, and lost each time")
            raise lost
        self.left -= 1
        making: asyncio.Future[BaseException | None] = manager.loop.create_future()

        def begin() -> None:
            again = calls._start(manager.hands, self._fn, self._args, self._kwargs, self._options)
            if isinstance(again, Renewing):
                again.remaining = self.left
            again.add_done_callback(done)

        def done(call: PoolCall) -> None:
            self._making = None
            error = None
            if call._state == ANSWERED:
                self.made = call._outcome
                self._args, self._kwargs = (), {}  # the new one has them
            else:
                call._seen = True
                error = lost if call.cancelled() else call.exception()
            if not making.done():
                making.set_result(error)

        manager.post(begin)
        return making


def rebuilt_by(ref: Any) -> Lineage | None:
    """How a reference's object is made again, if that is known here."""
    found = getattr(getattr(ref, "_hold", None), "rebuild", None)
    return found if isinstance(found, Lineage) else None


def is_to_be_made(ref: Any) -> bool:
    """Whether what is among the arguments of a call may have to be made first, or again."""
    return ref.__class__ is not RemoteRef or rebuilt_by(ref) is not None


def newest(value: Any) -> Any:
    """An argument with what was made in its place, if it was lost before."""
    if value.__class__ is Piece:
        return Piece([newest(part) for part in value.parts], value.kind)
    if isinstance(value, StandIn) and not isinstance(value, RemoteRef):
        return value.renewed(newest)
    while isinstance(value, RemoteRef) and (by := rebuilt_by(value)) is not None and by.made is not None:
        value = by.made
    return value


def held(value: Any) -> Any:
    """An argument, to be used later: with handles of its own, whatever becomes of the caller's."""
    return copy.copy(value) if isinstance(value, StandIn) and value.__class__ is not Piece else value


def unusable(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    """The error of the first argument whose object is known to be gone: no runner needs to be asked for it."""
    for name, value in (*enumerate(args), *kwargs.items()):
        parts: Any = getattr(value, "parts", None) or (value,)
        for ref in parts if isinstance(value, StandIn) else ():
            hold: Hold | None = getattr(ref, "_hold", None)  # None: dropped; the call says so when it is written
            trouble = None if hold is None or hold.refs.is_own(hold.id) else hold.refs.trouble(hold.id)
            if trouble is not None:
                error = told(ref, trouble)
                error.add_note(f"{FETCHED} {name!r}; the function was not called")
                return error
    return None


class Renewing(PoolCall):
    """The Handle of a call that waits until lost objects among its arguments are made again, and whose own value can
    be."""

    calls: Calls
    remaining: int | None = None  # times that its value may be made again
    kept_args: tuple[Any, ...] = ()
    kept_kwargs: dict[str, Any] = {}  # noqa: RUF012 -- never written to

    def waits_for_objects(self) -> bool:
        if self.options.rebuild:
            self.kept_args = tuple(map(held, self._args))
            self.kept_kwargs = {name: held(value) for name, value in self._kwargs.items()}
        return self._renew()

    def _renew(self) -> bool:
        """Take what was made in the place of lost objects. Whether one has to be made first: then it waits for that."""
        for ref in references(self._args, self._kwargs):
            if ref.coming() is not None:
                self._wait(Coming(ref), None)
                return True
        self._args = tuple(map(newest, self._args))
        self._kwargs = {name: newest(value) for name, value in self._kwargs.items()}
        self.refs = references(self._args, self._kwargs)
        for ref in self.refs:
            by = rebuilt_by(ref)
            trouble = None if by is None else ref.refs.trouble(ref.id)
            if by is not None and isinstance(trouble, OwnerLost):
                self._wait(by, trouble)
                return True
        return False

    def _wait(self, by: Lineage | Coming, lost: OwnerLost | None) -> None:
        waiting: Any = Waiting(self, by, lost)
        self.manager.pausing[self] = waiting
        self.manager.post(lambda: self.manager.task(waiting.wait()))

    def _fail(self, error: BaseException) -> None:
        by = self._loss(error)
        if by is None or not self._may_begin_anew():
            super()._fail(error)
            return
        assert isinstance(error, OwnerLost)
        self._release_ref()
        if self._sent:
            self.tell()
            self.manager.leave(Remains(self))
        elif self.place is not None:
            self.manager.freed(self)
        self._leave()
        self.attempts -= 1  # its function has not run
        self.job = self.manager.next_number()
        self._wait(by, error)

    def _loss(self, error: BaseException) -> Lineage | None:
        """What makes the argument again whose loss has failed it, before its function was called."""
        if not isinstance(error, OwnerLost) or self._state != WAITING:
            return None
        if not any(note.startswith(FETCHED) for note in getattr(error, "__notes__", ())):
            return None
        return next((by for ref in self.refs if ref.node == error.node and (by := rebuilt_by(ref)) is not None), None)

    def _may_begin_anew(self) -> bool:
        if self._items is None:
            return True
        feed: Any = self._items._holder
        if feed is None or not feed.again():
            return False
        self._items = feed.items
        return True

    def _settle(self, state: int) -> None:
        if state == ANSWERED and self.options.rebuild and isinstance(self._outcome, RemoteRef):
            hold: Any = self._outcome._hold
            if hold.rebuild is None:
                left = self.options.retries or TIMES if self.remaining is None else self.remaining
                hold.rebuild = Lineage(self, left)
        self.kept_args, self.kept_kwargs = (), {}
        super()._settle(state)


class Coming:
    """What makes an argument that does not exist yet: somebody else does, and it is waited for."""

    __slots__ = ("_of",)

    def __init__(self, of: StandIn) -> None:
        self._of = of

    async def __call__(self, lost: OwnerLost | None) -> None:
        there = self._of.coming()
        if there is not None:
            await there


class Waiting:
    """A call that waits until an object is made again; what the manager has in the place of a timer."""

    __slots__ = ("_by", "_call", "_lost", "_over")

    def __init__(self, call: Renewing, by: Any, lost: OwnerLost | None) -> None:
        self._call = call
        self._by: Callable[[OwnerLost | None], Awaitable[object]] = by
        self._lost = lost
        self._over = False

    def cancel(self) -> None:
        """The call has ended."""
        self._over = True

    async def wait(self) -> None:
        """Until it is there; then the call goes on. In a task of the manager's."""
        call, manager = self._call, self._call.manager
        try:
            await self._by(self._lost)
        except Exception as error:
            if not self._over:
                _leave(manager, call)
                call.reject(error)
            return
        if not self._over:
            _leave(manager, call)
            if not call._renew():  # another of its arguments may be lost as well
                manager.pausing[call] = self  # type: ignore[assignment]
                manager.resume(call)


def _leave(manager: Manager, call: PoolCall) -> None:
    manager.pausing.pop(call, None)
