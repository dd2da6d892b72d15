"""How an object's owner is asked: remote calls whose failures speak of the object.

Rule: a use is started when it is asked for, on any thread, and speaks for the current process; a handle used by code
of another node, or of none, speaks for its own node. What is asked has a handle of its own, so the object is there
until the answer is, whatever becomes of the one that was used. Where the object is here already nobody is asked.

Place: between ref.py and the remote calls of otp/rpc.py; what runs on the owner is serving.py's.
"""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from beampy import api
from beampy.core.current import current
from beampy.core.signals import NOCONNECTION, NOPROC
from beampy.core.standin import coming, held
from beampy.errors import BadFunction, BeampyError, CallTimeout, EncodeError, OwnerLost, RefExpired
from beampy.handle import Handle, Known
from beampy.otp.rpc import RemoteCaller
from beampy.otp.rpc_call import Called, RemoteCall
from beampy.otp.rpc_function import kind_of, portable, shown, streams
from beampy.refs import serving
from beampy.refs.ledger import LEASE
from beampy.refs.room import room
from beampy.refs.sizes import shown_object, shown_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.node import LocalNode
    from beampy.core.process import Process
    from beampy.refs.ref import RemoteRef
    from beampy.refs.service import Refs

T = TypeVar("T")

AGAIN = 10.0  # seconds until a use tries again to connect to an owner that was not reached, as the service does
UNREACHED = 1024  # such owners that are remembered
VALUE = "the value of "  # how the callee's EncodeError of a value begins
MAY_COME_BACK = (
    "the connection to it broke, or it cannot be reached. If it comes back within the lease "
    f"({LEASE:g} s) this reference is good again; else the object is to be made anew"
)
STOPPING = "it is stopping, and takes no calls any more"


# what users ask for


def get(ref: RemoteRef[T], timeout: float | None) -> Handle[T]:
    """The object itself where it is here, else a copy."""
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"ref.get: timeout is a number of seconds, or None, not {timeout!r}")
    refs, id = ref.refs, ref.id
    if refs.is_own(id) and not refs.node.closed:
        try:
            return Known(refs.value(id))
        except Exception as error:
            return Known(None, error, f"get of {ref!r}")
    return use(ref, "get", serving.fetch, (), {}, timeout)


def apply(
    ref: RemoteRef[Any], fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], keep: bool = False
) -> Handle[Any]:
    """A function of the object, run where it is."""
    verb = "ref.keep" if keep else "ref.apply"
    if not isinstance(fn, str):
        if not callable(fn):
            raise BadFunction(
                verb, f"a {type(fn).__name__} (ref.do.name(…) calls a method)", "a function of the object"
            )
        if streams(kind_of(verb, fn)):
            what = f"the generator {shown(fn)}: an answer is one value"
            raise BadFunction(verb, what, "a function that returns a list")
        fn = portable(fn, ref.refs.node.code)
    return _use_with(ref, shown(fn), serving.keep_applied if keep else serving.applied, (fn, *args), kwargs)


def call(
    ref: RemoteRef[Any], steps: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any], keep: bool = False
) -> Handle[Any]:
    """A method of the object, or of something that it has."""
    fn = serving.keep_called if keep else serving.called
    return _use_with(ref, shown_path(steps).lstrip("."), fn, (steps, *args), kwargs)


def read(ref: RemoteRef[Any], steps: tuple[Any, ...], keep: bool = False) -> Handle[Any]:
    """An attribute or item of the object."""
    return use(ref, shown_path(steps).lstrip("."), serving.keep_found if keep else serving.found, (steps,), {})


# how


def use(
    ref: RemoteRef[Any],
    verb: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    timeout: float | None = None,
) -> Handle[Any]:
    """`fn([ref], *args, **kwargs)` on the owner. `verb` is what people call it."""
    held = ref.another()
    hold = held.hold
    node = hold.refs.node
    if node.closed:
        error = OwnerLost(ref.node, shown_ref(ref), f"this handle is one of {node.name}, and that has stopped")
        return Known(None, error, f"{verb} of {ref.shown()}")
    me = voice(node)
    if _off_loop(me):
        what = f"{verb} of {ref.shown()}"
        return api.submit(me, lambda: use(held, verb, fn, args, kwargs, timeout), what)
    if hold.rebuild is not None:
        return api.submit(me, lambda: _rebuilding(held, verb, fn, args, kwargs, timeout), f"{verb} of {ref.shown()}")
    if hold.refs.ledger.lenders(hold.id):
        return api.submit(me, lambda: _connecting(held, verb, fn, args, kwargs, timeout), f"{verb} of {ref.shown()}")
    return _ask(me, held, verb, fn, args, kwargs, timeout)


def _use_with(
    ref: RemoteRef[Any], verb: str, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Handle[Any]:
    """The same with arguments of the user's: those that do not exist yet are waited for."""
    if not coming(args, kwargs):
        return use(ref, verb, fn, args, kwargs)
    kept, (args, kwargs) = ref.another(), held(args, kwargs)
    what = f"{verb} of {ref.shown()}"
    return api.later(voice(ref.refs.node), args, kwargs, lambda: use(kept, verb, fn, args, kwargs), what)


def voice(node: LocalNode) -> Process:
    """Who speaks on a node: the current process where that is its, else the node itself."""
    me = current.get(None)
    if me is None or me.node is not node:
        found: Process = node.voice
        return found
    return me


def _off_loop(me: Process) -> bool:
    return me._thread != get_ident() and me.node.thread != get_ident()


def _ask(
    me: Process,
    held: RemoteRef[Any],
    verb: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    timeout: float | None,
) -> Handle[Any]:
    refs, id = held.refs, held.id
    trouble = None if refs.is_own(id) else refs.trouble(id)
    if trouble is not None:
        return Known(None, told(held, trouble), f"{verb} of {held.shown()}")
    if fn is serving.fetch:
        args = (min((room(), *args)),)
    return RefCaller(held, verb, timeout)._ask(me, id.node, fn, ([held], *args), kwargs)


async def _rebuilding(
    held: RemoteRef[Any],
    verb: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    timeout: float | None,
) -> Any:
    """The same with an object that can be made again where its owner is lost."""
    while True:
        if held.refs.is_own(held.id) and fn is serving.fetch:
            return held.refs.value(held.id)
        try:
            return await _ask(voice(held.refs.node), held, verb, fn, args, kwargs, timeout)
        except OwnerLost as lost:
            rebuild = held.hold.rebuild
            if rebuild is None:
                raise
            held = await rebuild(lost)


async def _connecting(
    held: RemoteRef[Any],
    verb: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    timeout: float | None,
) -> Any:
    """The same where the owner has not been reached yet. Where it cannot be, one who has lent us the object asks it.

    What goes that way was not sent before, so it is done once.
    """
    refs = held.refs
    begun = refs.loop.time()
    if not await _reached(refs, held.node, timeout):
        raise CallTimeout(Called(f"{verb} of {shown_ref(held)}", held.node), timeout or 0.0)
    left = None if timeout is None else max(0.0, begun + timeout - refs.loop.time())
    me, lenders = voice(refs.node), refs.ledger.lenders(held.id)
    if not lenders:
        return await _ask(me, held, verb, fn, args, kwargs, left)
    if fn is serving.fetch:
        args = (room(),)
    caller = RefCaller(held, verb, left)
    return await caller._ask(me, lenders[0], serving.relayed, ([held], verb, fn, args, kwargs), {})


async def _reached(refs: Refs, owner: str, timeout: float | None) -> bool:
    """Try to connect to an owner, unless that has just failed. False: that took all of the time.

    In a task of its own: the failure of an attempt is shared by all who wait for it, lives on for a while, and has the
    frames of who awaited it.
    """
    now = refs.loop.time()
    if refs.unreached.get(owner, now) > now:
        return True
    attempt = refs.loop.create_task(_attempt(refs, owner), context=refs.context.copy())
    try:
        done, _ = await asyncio.wait({attempt}, timeout=timeout)
    finally:
        attempt.cancel()
    if not done:
        return False
    if not attempt.result():
        refs.unreached[owner] = refs.loop.time() + AGAIN
        while len(refs.unreached) > UNREACHED:
            del refs.unreached[next(iter(refs.unreached))]
    return True


async def _attempt(refs: Refs, owner: str) -> bool:
    try:
        await refs.connect(owner)
    except BeampyError:
        return False
    return True


def relay(held: RemoteRef[Any], verb: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Handle[Any]:
    """A use that somebody asks us for, who cannot reach the owner: directly, so that no two ask each other for ever."""
    return _ask(voice(held.refs.node), held, verb, fn, args, kwargs, None)


def told(ref: RemoteRef[Any], trouble: Exception) -> Exception:
    """A trouble of the object, said of what it is."""
    what = shown_ref(ref)
    if isinstance(trouble, OwnerLost):
        maker = ref.hold.maker
        if not maker or maker == ref.refs.node.name:
            return OwnerLost(trouble.node, what, trouble.cause)
        again = f"{maker} can make it again (rebuild=True), and only there: use the reference there, or ask for another"
        return OwnerLost(trouble.node, what, f"{trouble.cause}; {again}")
    if isinstance(trouble, RefExpired):
        return RefExpired(trouble.node, what, trouble.why)
    return trouble


def shown_ref(ref: RemoteRef[Any]) -> str:
    """The object in an error that names the node by itself."""
    return shown_one(ref.what, ref.nbytes)


def shown_one(what: str, nbytes: int) -> str:
    """A type and a size as one phrase of a sentence."""
    return f"the {shown_object(what, nbytes).replace(', ', ' of ', 1)}"


class RefCaller(RemoteCaller):
    """Remote calls for one object."""

    __slots__ = ("_held", "_verb")

    def __init__(self, held: RemoteRef[Any], verb: str, timeout: float | None) -> None:
        super().__init__(timeout, capture=verb != "get")  # nothing of the user's runs for a get
        self._held = held
        self._verb = verb

    def _call(self, me: Process, node: str, fn: Any) -> RefCall:
        return RefCall(me, node, fn, self._timeout, self._held, self._verb)


class RefCall(RemoteCall):
    """One use of an object, in flight. It has the handle until it is settled."""

    def __init__(
        self, process: Process, node: str, fn: Any, timeout: float | None, held: RemoteRef[Any], verb: str
    ) -> None:
        self._held: RemoteRef[Any] | None = held
        self._what = held.what
        self._nbytes = held.nbytes
        self._verb = verb
        super().__init__(process, node, fn, timeout)

    @property
    def called(self) -> Called:
        """What was asked for, for errors."""
        return Called(f"{self._verb} of {shown_one(self._what, self._nbytes)}", self.callee)

    def take_down(self, reason: Any) -> None:
        held = self._held
        if held is not None and isinstance(reason, str) and reason in (NOCONNECTION, NOPROC):
            self._sent = False
            self.target = self.far = None
            cause = MAY_COME_BACK if reason == NOCONNECTION else STOPPING
            self._fail(told(held, held.refs.trouble(held.id) or OwnerLost(held.node, "", cause)))
        else:
            super().take_down(reason)

    def _fail(self, error: BaseException) -> None:
        held = self._held
        if held is None:
            pass
        elif isinstance(error, EncodeError) and error.what.startswith(VALUE):
            error = not_sent(error, held, self._verb)
        elif isinstance(error, RefExpired | OwnerLost) and error.what == f"object {held.id.number}":
            error.what = shown_ref(held)
            error.args = (error.node, error.what, *error.args[2:])
        super()._fail(error)

    def _settle(self, state: int) -> None:
        self._held = None
        super()._settle(state)


def not_sent(error: EncodeError, ref: RemoteRef[Any], verb: str) -> EncodeError:
    """The owner's error of a value that cannot travel, said of the object."""
    if verb == "get":
        what, remedy = shown_ref(ref), "work on it where it is: ref.do.method(…), ref.apply(fn, …)"
    else:
        what, remedy = f"what {verb} of {shown_ref(ref)} gave", "leave it there: ref.keep"
    again = EncodeError(f"{what} on {ref.node}", f"{error.cause}; {remedy}")
    again.__cause__ = error.__cause__
    again.__notes__ = getattr(error, "__notes__", [])
    return again
