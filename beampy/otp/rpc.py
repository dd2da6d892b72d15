"""Remote calls: run a function on a node. Erlang's erpc, with streams.

    page = await bp.remote_call("b@10.0.0.2", fetch, url)
    async for row in bp.remote_call("b@10.0.0.2", rows_of, path): ...
    load = bp.remote_call.options(timeout=5)("b@10.0.0.2", "os.getloadavg")

Rule: the function runs in a process of its own there, tied to its caller: what cancels the call, ends the caller or
loses his node ends it. Its value, its exception, and what it prints and logs are the caller's. A function that is not
async runs in a thread, of which a node has as many as are needed, 1000 at most. A call is carried out at most once;
after CallTimeout and NodeDown it may have been or not, and nothing of it arrives late.

The same on one node and between nodes. What runs there is rpc_server.py's. Benchmark: benchmarks/remote_call.py.
"""

from __future__ import annotations

from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, overload

from beampy import api
from beampy.core.current import current, here
from beampy.core.group_leader import leader_for
from beampy.core.ids import full_name
from beampy.core.request import WAITING
from beampy.core.standin import coming, exist, held
from beampy.errors import BadFunction
from beampy.handle import Handle, Pending
from beampy.otp.rpc_call import RemoteCall
from beampy.otp.rpc_function import kind_of, portable, shown, streams
from beampy.otp.rpc_server import RPC, Call, Cast, start_rpc
from beampy.otp.rpc_stream import WINDOW, RemoteStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable

    from beampy.core.ids import Ref
    from beampy.core.process import Process
    from beampy.core.standin import StandIn

P = ParamSpec("P")
T = TypeVar("T")

get_current = current.get
new = tuple.__new__  # a NamedTuple without its constructor's argument handling
UNCHANGED: Any = object()


def _caller(verb: str) -> Process:
    try:
        return get_current()
    except LookupError:
        return here(verb)


def _off_loop(me: Process) -> bool:
    return me._thread != get_ident() and me.node.thread != get_ident()


class RemoteCaller:
    """`bp.remote_call(node, fn, *args, **kwargs)`: run a function on a node; the Handle of its value.

    `fn` is a function, or the name of one there: "module.function", "module:Class.method". Its arguments pass
    through whole, keywords too; what is about the call itself goes through `options`. A generator gives a
    RemoteStream.

    Raises what the function raised, with a RemoteTraceback as its cause; ServerExited(reason) where it said
    exit(reason); CallKilled(reason) where an exit signal or a kill ended it; CallTimeout; NodeDown where its node
    cannot be reached or is lost; NoProcess where its node takes no calls; EncodeError for arguments and values
    that cannot travel, DecodeError where they cannot be read. ModuleNotFoundError and AttributeError say that there
    is no function of that name.

    >>> await bp.remote_call("b@localhost", crunch, rows, axis=1)
    >>> bp.remote_call("b@localhost", "os.getpid").result(timeout=1)      # on any thread
    """

    __slots__ = ("_capture", "_timeout", "_window")

    def __init__(self, timeout: float | None = None, capture: bool = True, window: int = WINDOW) -> None:
        self._timeout = timeout
        self._capture = capture
        self._window = window

    def options(
        self, *, timeout: float | None = UNCHANGED, capture: bool = UNCHANGED, window: int = UNCHANGED
    ) -> RemoteCaller:
        """The same with other options.

        timeout: seconds for the whole call, a stream's too; None, the default, waits as long as it takes.
        capture: whether stdout, stderr, warnings and log records of the function appear here (True), or there.
        window: how many items a stream may be ahead of its reader (16).
        """
        if timeout is not UNCHANGED and timeout is not None and not timeout >= 0:
            raise ValueError(f"remote_call: timeout is a number of seconds, or None, not {timeout!r}")
        if window is not UNCHANGED and (not isinstance(window, int) or window < 1):
            raise ValueError(f"remote_call: window is a number of items, 1 or more, not {window!r}")
        return type(self)(
            self._timeout if timeout is UNCHANGED else timeout,
            self._capture if capture is UNCHANGED else capture,
            self._window if window is UNCHANGED else window,
        )

    # The last overload but one takes any function: the first that fits counts, so those before it are exceptions. An
    # argument that becomes its object there is known to type checkers among the first two.
    @overload
    def __call__(
        self, node: str, fn: Callable[..., Awaitable[T]], ref: StandIn, /, *args: Any, **kwargs: Any
    ) -> Handle[T]: ...
    @overload
    def __call__(
        self, node: str, fn: Callable[..., Awaitable[T]], one: Any, ref: StandIn, /, *args: Any, **kwargs: Any
    ) -> Handle[T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, node: str, fn: Callable[..., T], ref: StandIn, /, *args: Any, **kwargs: Any
    ) -> Handle[T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, node: str, fn: Callable[..., T], one: Any, ref: StandIn, /, *args: Any, **kwargs: Any
    ) -> Handle[T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, node: str, fn: Callable[P, AsyncGenerator[T, Any]], /, *args: P.args, **kwargs: P.kwargs
    ) -> RemoteStream[T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, node: str, fn: Callable[P, Generator[T, Any, Any]], /, *args: P.args, **kwargs: P.kwargs
    ) -> RemoteStream[T]: ...
    @overload
    def __call__(self, node: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def __call__(self, node: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def __call__(self, node: str, fn: str, /, *args: Any, **kwargs: Any) -> Handle[Any]: ...
    def __call__(self, node: str, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        if fn.__class__ is not str and streams(kind_of("remote_call", fn)):
            return self.stream(node, fn, *args, **kwargs)
        node = full_name(node)
        me = _caller("remote_call")
        if coming(args, kwargs):
            args, kwargs = held(args, kwargs)
            return api.later(
                me, args, kwargs, lambda: self(node, fn, *args, **kwargs), f"call of {shown(fn)} on {node}"
            )
        if _off_loop(me):
            return api.submit(me, lambda: self(node, fn, *args, **kwargs), f"call of {shown(fn)} on {node}")
        return self._ask(me, node, fn, args, kwargs)

    def stream(self, node: str, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> RemoteStream[Any]:
        """The same for what gives many values: generators by name, and functions that return something iterable.

        >>> async for line in bp.remote_call.stream("b@localhost", "app.logs.tail", path):
        ...     print(line)
        """
        if not isinstance(fn, str):
            kind_of("remote_call", fn)
        node = full_name(node)
        me = _caller("remote_call")

        ready = None
        if coming(args, kwargs):
            args, kwargs = held(args, kwargs)
            ready = partial(exist, args, kwargs)

        def begin(items: Ref) -> RemoteCall:
            return self._ask(me, node, fn, args, kwargs, items)

        return RemoteStream(me, begin, f"{shown(fn)} on {node}", self._window, ready)

    def _ask(
        self, me: Process, node: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], items: Ref | None = None
    ) -> RemoteCall:
        here_too = node == me.node.name
        if here_too:
            if RPC not in me.node.registry.pids:
                start_rpc(me.node)
        else:
            fn = portable(fn, me.node.code)
        call = self._call(me, node, fn)
        if call._state != WAITING:
            return call
        leader = leader_for(me, node) if self._capture else None
        fields = (call.ref, me.pid, fn, args, kwargs, leader, items, 0 if items is None else self._window)
        far = me.node.far.get(node)
        try:
            if far is not None and me._thread == get_ident():  # what api.send finds out about such a destination
                far(me, call.to, new(Call, fields))
            else:
                api.send(call.to, new(Call, fields))
        except BaseException:  # EncodeError, PeerBusy
            call.cancel()
            raise
        call.is_sent(self._timeout)
        return call

    def _call(self, me: Process, node: str, fn: Any) -> RemoteCall:
        return RemoteCall(me, node, fn, self._timeout)


remote_call = RemoteCaller()


def remote_cast(node: str, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> None:
    """Run a function on a node; nobody waits, and it never fails. Its output and log records appear here.

    It is not tied to whoever cast it. What it raises is reported where it ran, as of any process.

    >>> bp.remote_cast("b@localhost", refresh, "prices")
    """
    node = full_name(node)
    me = _caller("remote_cast")
    if not isinstance(fn, str):
        kind_of("remote_cast", fn)
    if node != me.node.name:
        fn = portable(fn, me.node.code)
    late = bool(coming(args, kwargs))
    if late:
        args, kwargs = held(args, kwargs)
    message = Cast(fn, args, kwargs, None)

    def send() -> None:
        if node == me.node.name and RPC not in me.node.registry.pids:
            start_rpc(me.node)
        api.send((RPC, node), message._replace(leader=leader_for(me, node)))

    async def waiting() -> None:
        api.set_label(f"beampy.rpc: a cast of {shown(fn)} waits for its arguments")
        await exist(args, kwargs)
        send()

    api._ask(me, (lambda: me.node.spawn(waiting, (), me)) if late else send)


# many nodes


class Ok(NamedTuple):
    """What a call of a multicall returned."""

    node: str
    value: Any


class Failure(NamedTuple):
    """What a call of a multicall raised: any error of `remote_call`."""

    node: str
    error: BaseException


class Results(list["Ok | Failure"]):
    """The results of a multicall, in the order of its nodes."""

    def values(self) -> list[Any]:
        """The values of all; raises the first failure.

        >>> sizes = (await bp.multicall(nodes, "app.cache.size")).values()
        """
        for result in self:
            if isinstance(result, Failure):
                raise result.error
        return [result.value for result in self if isinstance(result, Ok)]


class MultiCaller:
    """`bp.multicall(nodes, fn, *args, **kwargs)`: the same call on many nodes at once; the Handle of its Results.

    One result for each node, in their order: `Ok(node, value)` or `Failure(node, error)`. `options(timeout=…)` is one
    deadline for all; who has not answered then is a Failure with a CallTimeout. Cancelling it cancels all.

    >>> for result in await bp.multicall.options(timeout=2)(["a@h", "b@h"], "os.getloadavg"):
    ...     match result:
    ...         case bp.Ok(node, load): print(node, load)
    ...         case bp.Failure(node, error): print(node, "failed:", error)
    """

    __slots__ = ("_one",)

    def __init__(self, one: RemoteCaller = remote_call) -> None:
        self._one = one

    def options(self, *, timeout: float | None = UNCHANGED, capture: bool = UNCHANGED) -> MultiCaller:
        """The same with other options: those of `remote_call`."""
        return type(self)(self._one.options(timeout=timeout, capture=capture))

    def __call__(
        self, nodes: Iterable[str], fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Handle[Results]:
        names = [full_name(node) for node in nodes]
        if not isinstance(fn, str) and streams(kind_of("multicall", fn)):
            raise BadFunction("multicall", f"the generator {shown(fn)}: an answer is one value")
        me = here("multicall")
        if coming(args, kwargs):
            args, kwargs = held(args, kwargs)
            return api.later(me, args, kwargs, lambda: self(names, fn, *args, **kwargs), f"multicall of {shown(fn)}")
        if _off_loop(me):
            return api.submit(me, lambda: self(names, fn, *args, **kwargs), f"multicall of {shown(fn)}")
        calls = [self._one._ask(me, node, fn, args, kwargs) for node in names]
        return Collecting(_collected(names, calls), calls)


class Collecting(Pending[Results]):
    """The handle of a multicall inside a process."""

    __slots__ = ("_calls",)

    def __init__(self, coro: Any, calls: list[RemoteCall]) -> None:
        super().__init__(coro)
        self._calls = calls

    def cancel(self, msg: Any = None) -> bool:
        for call in self._calls:
            call.cancel(msg)
        return super().cancel(msg)


async def _collected(names: list[str], calls: list[RemoteCall]) -> Results:
    results = Results()
    try:
        for node, call in zip(names, calls, strict=True):
            try:
                results.append(Ok(node, await call))
            except Exception as error:
                results.append(Failure(node, error))
    finally:
        for call in calls:
            call.cancel()
    return results


multicall = MultiCaller()
