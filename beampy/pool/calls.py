"""The verbs of a pool: what one says to run something on machines that need not exist yet.

Rule: the user's arguments pass through whole; what is about the call itself goes through `options`. Each verb returns a
Handle: await it on any loop, or take `.result()` on any thread; the work has begun, or waits its turn, when the verb
returns. Inside a process nothing of this blocks, and no other process is asked.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeAlias, TypeVar, overload

from beampy import api
from beampy.core.current import here
from beampy.errors import NotInNode, PoolError
from beampy.otp.rpc_function import kind_of, portable, shown, streams
from beampy.pool.call import PoolCall
from beampy.pool.casting import cast
from beampy.pool.frames_door import FramesDoor
from beampy.pool.keeping import no_items, said, stay
from beampy.pool.mapping import Mapped
from beampy.pool.nearness import references
from beampy.pool.options import CallOptions
from beampy.pool.rebuilding import Renewing, is_to_be_made, unusable
from beampy.pool.remote_function import RemoteFunction
from beampy.pool.scatter import scattered
from beampy.pool.streams import PoolStream

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable
    from concurrent.futures import Executor

    from beampy.core.ids import Pid, Ref
    from beampy.core.process import Process
    from beampy.handle import Handle
    from beampy.pool.manager import Manager
    from beampy.refs.ref import RemoteRef

    Async: TypeAlias = Callable[..., Awaitable[T]]
    Plain: TypeAlias = Callable[..., T]
    Ref_: TypeAlias = RemoteRef[Any]  # an argument that becomes its object there: type checkers see the first two
    Items: TypeAlias = Iterable[Any] | AsyncIterable[Any]

P = ParamSpec("P")

# The verbs that have the pool's timeout; the others take as long as they take.
DEADLINE = ("call", "keep", "put", "place_child")
LOOSE = ("submit", "cast", "executor")  # what goes on when its caller's process has ended


class Calls(FramesDoor):
    """The verbs, with options. A Pool is one; `options` gives another one for the same pool."""

    _pool: Calls
    _manager: Manager | None
    _said: dict[str, Any]  # the options that were given
    _made: dict[str, CallOptions]  # by verb

    def options(self, **options: Any) -> Calls:
        """The same pool, with other options for its calls.

        timeout: seconds for queue, boot and run together; None: as long as it takes. By default `call` and
        `place_child` have the pool's (30), the others none.
        link: whether the work ends with the process that has asked for it. True, but for `submit` and `cast`.
        priority: calls with a higher number go first (0).
        retries: how often it is run again when its runner was lost (0): for work that may run twice. `retry_on`: also
        after these exceptions. backoff: seconds before the second attempt, doubling (0.1).
        capture: whether what it prints and logs appears here (True), or in its machine's log.
        window: how many items a stream may be ahead of its reader (16).
        keep: the value stays on its runner, and what comes is a reference to it (False). rebuild: when that runner is
        lost, who uses the reference here has the call run again (False): see beampy.pool.rebuilding. name: what
        people see of it in errors and lists; the function's.

        >>> await pool.options(timeout=5, retries=2).call(fetch, url)
        """
        for name in options.keys() - CallOptions.__dataclass_fields__.keys():
            raise TypeError(
                f"pool.options: there is no {name!r}; there are {', '.join(CallOptions.__dataclass_fields__)}"
            )
        CallOptions(**options)  # says what is wrong now, not at the call
        made = Calls()
        made._pool = self._pool
        made._said = self._said | options
        made._made = {}
        return made

    def _of(self, verb: str) -> CallOptions:
        """The options of a verb's calls: made once."""
        made = self._made.get(verb)
        if made is None:
            timeout: Any = self._pool._timeout if verb in DEADLINE else None  # type: ignore[attr-defined]
            told: dict[str, Any] = {"timeout": timeout, "link": verb not in LOOSE} | self._said
            made = self._made[verb] = CallOptions(**told)
        return made

    def _caller(self, verb: str) -> Process:
        """The process that speaks."""
        manager = self._pool._manager
        me: Process | None = None
        try:
            me = here(f"pool.{verb}")
        except NotInNode:  # a thread of its own, in a program with several nodes
            if manager is None:
                raise
        if me is None or (manager is not None and me.node is not manager.node):
            voice: Process = self._at_work().node.voice
            return voice
        return me

    def _off_loop(self, me: Process) -> bool:
        return me.node.thread != get_ident()

    def _at_work(self) -> Manager:
        return self._pool._working()  # type: ignore[attr-defined,no-any-return]

    def _start(
        self,
        me: Process,
        fn: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        items: Ref | None = None,
        kind: type[PoolCall] = PoolCall,
    ) -> PoolCall:
        """A call, on the node's loop."""
        manager = self._at_work()
        fn = portable(fn, manager.node.code)
        refs = references(args, kwargs)
        if kind is PoolCall and (options.rebuild or (refs and any(map(is_to_be_made, refs)))):
            kind = Renewing
        call = kind(manager, me, fn, args, kwargs, options, items)
        call.refs = refs
        if isinstance(call, Renewing):
            call.calls = self
        try:
            if not call.waits_for_objects():
                gone = unusable(call._args or (), call._kwargs or {}) if call.refs else None
                if gone is None:
                    manager.start(call)
                else:
                    call.reject(gone)
        except PoolError as error:
            call.reject(error)
        return call

    def _run(self, verb: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> Any:
        if "keep" in kwargs and verb != "keep" and (keep := said(f"pool.{verb}", fn, kwargs)) is not None:
            options = options.but(keep=keep)
        options = self._kept(verb, fn, options)
        if not isinstance(fn, str) and streams(kind_of(f"pool.{verb}", fn)):
            return self._stream(verb, fn, args, kwargs, options)
        self._at_work()
        me = self._caller(verb)
        if self._off_loop(me):
            return api.submit(me, lambda: self._start(me, fn, args, kwargs, options), f"pool.{verb} of {shown(fn)}")
        return self._start(me, fn, args, kwargs, options)

    def _kept(self, verb: str, fn: Any, options: CallOptions, keep: bool = False) -> CallOptions:
        """The options of a call whose value may be kept. BadFunction, TypeError where it cannot be."""
        options = options.but(keep=True) if keep and not options.keep else options
        if options.keep and not isinstance(fn, str) and streams(kind_of(f"pool.{verb}", fn)):
            raise no_items(f"pool.{verb}", fn)
        if options.rebuild and not options.keep:
            raise TypeError(f"pool.{verb}: rebuild is for values that are kept: say keep=True, too, or pool.keep(…)")
        return options

    def _stream(self, verb: str, fn: Any, args: Any, kwargs: Any, options: CallOptions) -> PoolStream[Any]:
        self._at_work()
        me = self._caller(verb)
        return PoolStream(
            me, lambda items: self._start(me, fn, args, kwargs, options, items), shown(fn), options.window
        )

    # one call

    @overload
    def call(self, fn: Async[T], /, *args: Any, keep: Literal[True], **kwargs: Any) -> Handle[RemoteRef[T]]: ...
    @overload
    def call(  # type: ignore[overload-overlap]
        self, fn: Plain[T], /, *args: Any, keep: Literal[True], **kwargs: Any
    ) -> Handle[RemoteRef[T]]: ...
    @overload
    def call(self, fn: Async[T], ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[T]: ...
    @overload
    def call(self, fn: Async[T], one: Any, ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[T]: ...
    @overload
    def call(  # type: ignore[overload-overlap]
        self, fn: Plain[T], ref: Ref_, /, *args: Any, **kwargs: Any
    ) -> Handle[T]: ...
    @overload
    def call(  # type: ignore[overload-overlap]
        self, fn: Plain[T], one: Any, ref: Ref_, /, *args: Any, **kwargs: Any
    ) -> Handle[T]: ...
    @overload
    def call(  # type: ignore[overload-overlap]
        self, fn: Callable[P, AsyncGenerator[T, Any]], /, *args: P.args, **kwargs: P.kwargs
    ) -> PoolStream[T]: ...
    @overload
    def call(  # type: ignore[overload-overlap]
        self, fn: Callable[P, Generator[T, Any, Any]], /, *args: P.args, **kwargs: P.kwargs
    ) -> PoolStream[T]: ...
    @overload
    def call(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def call(self, fn: str, /, *args: Any, **kwargs: Any) -> Handle[Any]: ...
    def call(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run `fn(*args, **kwargs)` on a runner; the Handle of its value. A generator gives a stream.

        It ends with the process that called, and after the pool's `timeout`. A RemoteRef among the arguments becomes
        its object there. `keep=True` is ours where `fn` has no parameter of that name: see `keep`. Raises what the
        function raised, with a RemoteTraceback as its cause; RunnerLost, BootFailed, PoolTimeout, PoolSaturated,
        PoolClosed; EncodeError for what cannot travel; ServerExited and CallKilled where something there ended it, its
        own exit(reason) too.

        >>> await pool.call(resize, image, width=640)
        """
        return self._run("call", fn, args, kwargs, self._of("call"))

    @overload
    def submit(self, fn: Async[T], /, *args: Any, keep: Literal[True], **kwargs: Any) -> Handle[RemoteRef[T]]: ...
    @overload
    def submit(self, fn: Plain[T], /, *args: Any, keep: Literal[True], **kwargs: Any) -> Handle[RemoteRef[T]]: ...
    @overload
    def submit(self, fn: Async[T], ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[T]: ...
    @overload
    def submit(self, fn: Async[T], one: Any, ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[T]: ...
    @overload
    def submit(self, fn: Plain[T], ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[T]: ...
    @overload
    def submit(self, fn: Plain[T], one: Any, ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[T]: ...
    @overload
    def submit(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def submit(self, fn: str, /, *args: Any, **kwargs: Any) -> Handle[Any]: ...
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """As `call`, to be looked at later: with no deadline, and it goes on when the process that asked has ended.

        >>> handles = [pool.submit(parse, path) for path in paths]
        >>> trees = [await handle for handle in handles]
        """
        return self._run("submit", fn, args, kwargs, self._of("submit"))

    # values that stay there

    @overload
    def keep(self, fn: Async[T], ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[RemoteRef[T]]: ...
    @overload
    def keep(self, fn: Async[T], one: Any, ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[RemoteRef[T]]: ...
    @overload
    def keep(self, fn: Plain[T], ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[RemoteRef[T]]: ...
    @overload
    def keep(self, fn: Plain[T], one: Any, ref: Ref_, /, *args: Any, **kwargs: Any) -> Handle[RemoteRef[T]]: ...
    @overload
    def keep(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Handle[RemoteRef[T]]: ...
    @overload
    def keep(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[RemoteRef[T]]: ...
    @overload
    def keep(self, fn: str, /, *args: Any, **kwargs: Any) -> Handle[RemoteRef[Any]]: ...
    def keep(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """As `call`, but its value stays on the runner: the Handle of a reference to it.

        The runner is kept as long as somebody refers to the value. Given to another call as an argument the reference
        becomes the value, and that call prefers this runner. `pool.call(fn, …, keep=True)` says the same, where `fn`
        has no parameter called keep. BadFunction for a generator.

        >>> rows = await pool.keep(load, path)
        >>> await pool.call(total, rows), await rows.do.shape
        """
        return self._run("keep", fn, args, kwargs, self._of("keep").but(keep=True))

    @overload
    def put(self, value: RemoteRef[T], /) -> Handle[RemoteRef[T]]: ...
    @overload
    def put(self, value: T, /) -> Handle[RemoteRef[T]]: ...
    def put(self, value: Any, /) -> Handle[RemoteRef[Any]]:
        """Keep a copy of a value, or of the object of a reference, on a runner; the Handle of the reference to it.

        >>> table = await pool.put(table)
        """
        return self._run("put", stay, (value,), {}, self._of("put").but(keep=True))  # type: ignore[no-any-return]

    def cast(self, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Handle[None]:
        """Run it; its value is dropped, and its failure is logged. The Handle is done when the pool has taken it.

        >>> pool.cast(refresh, "prices")
        """
        return cast(self, fn, args, kwargs, self._of("cast"))

    # many calls

    @overload
    def map(
        self,
        fn: Async[T],
        /,
        *iterables: Items,
        ordered: bool = ...,
        max_in_flight: int | None = ...,
        return_exceptions: Literal[False] = ...,
        keep: Literal[True],
    ) -> Mapped[RemoteRef[T]]: ...
    @overload
    def map(
        self,
        fn: Plain[T],
        /,
        *iterables: Items,
        ordered: bool = ...,
        max_in_flight: int | None = ...,
        return_exceptions: Literal[False] = ...,
        keep: Literal[True],
    ) -> Mapped[RemoteRef[T]]: ...
    @overload
    def map(
        self,
        fn: Callable[..., Awaitable[T]],
        /,
        *iterables: Iterable[Any] | AsyncIterable[Any],
        ordered: bool = ...,
        max_in_flight: int | None = ...,
        return_exceptions: Literal[False] = ...,
    ) -> Mapped[T]: ...
    @overload
    def map(
        self,
        fn: Callable[..., Awaitable[T]],
        /,
        *iterables: Iterable[Any] | AsyncIterable[Any],
        ordered: bool = ...,
        max_in_flight: int | None = ...,
        return_exceptions: bool,
    ) -> Mapped[T | Exception]: ...
    @overload
    def map(
        self,
        fn: Callable[..., T],
        /,
        *iterables: Iterable[Any] | AsyncIterable[Any],
        ordered: bool = ...,
        max_in_flight: int | None = ...,
        return_exceptions: Literal[False] = ...,
    ) -> Mapped[T]: ...
    @overload
    def map(
        self,
        fn: Callable[..., T],
        /,
        *iterables: Iterable[Any] | AsyncIterable[Any],
        ordered: bool = ...,
        max_in_flight: int | None = ...,
        return_exceptions: bool,
    ) -> Mapped[T | Exception]: ...
    @overload
    def map(
        self,
        fn: str,
        /,
        *iterables: Iterable[Any] | AsyncIterable[Any],
        ordered: bool = ...,
        max_in_flight: int | None = ...,
        return_exceptions: bool = ...,
    ) -> Mapped[Any]: ...
    def map(
        self,
        fn: Any,
        /,
        *iterables: Iterable[Any] | AsyncIterable[Any],
        ordered: bool = True,
        max_in_flight: int | None = None,
        return_exceptions: bool = False,
        keep: bool = False,
    ) -> Mapped[Any]:
        """Run `fn` on each item: `async for` (or `for`, on other threads) over the results, or await all as a list.

        ordered: results in the order of the items (True), or as they come. max_in_flight: items that are with the pool
        at once, and not read; by default twice what it can run. Items are taken from the iterables as they are
        needed, so these may be endless. The first failure is raised and cancels the rest; with `return_exceptions`
        it is a result. keep: each result stays on its runner, and is a reference here, as with `keep`.

        >>> async for tree in pool.map(parse, paths, ordered=False):
        ...     print(tree)
        """
        options = self._kept("map", fn, self._of("map"), keep)
        return Mapped(self, fn, iterables, ordered, max_in_flight, return_exceptions, options)

    @overload
    def stream(self, fn: Callable[P, AsyncIterable[T]], /, *args: P.args, **kwargs: P.kwargs) -> PoolStream[T]: ...
    @overload
    def stream(
        self, fn: Callable[P, Awaitable[Iterable[T]]], /, *args: P.args, **kwargs: P.kwargs
    ) -> PoolStream[T]: ...
    @overload
    def stream(self, fn: Callable[P, Iterable[T]], /, *args: P.args, **kwargs: P.kwargs) -> PoolStream[T]: ...
    @overload
    def stream(self, fn: str, /, *args: Any, **kwargs: Any) -> PoolStream[Any]: ...
    def stream(self, fn: Any, /, *args: Any, **kwargs: Any) -> PoolStream[Any]:
        """The items of a generator, or of anything to iterate over that `fn` returns, as they come.

        >>> async for row in pool.stream(rows_of, path):
        ...     print(row)
        """
        if not isinstance(fn, str):
            kind_of("pool.stream", fn)
        options = self._of("stream")
        if options.keep:
            raise no_items("pool.stream", fn)
        return self._stream("stream", fn, args, kwargs, options)

    @overload
    def scatter(
        self, fn: Async[T], items: Any, parts: int | None = ..., *, keep: Literal[True]
    ) -> Handle[list[RemoteRef[T]]]: ...
    @overload
    def scatter(
        self, fn: Plain[T], items: Any, parts: int | None = ..., *, keep: Literal[True]
    ) -> Handle[list[RemoteRef[T]]]: ...
    @overload
    def scatter(self, fn: Callable[[Any], Awaitable[T]], items: Any, parts: int | None = ...) -> Handle[list[T]]: ...
    @overload
    def scatter(self, fn: Callable[[Any], T], items: Any, parts: int | None = ...) -> Handle[list[T]]: ...
    @overload
    def scatter(self, fn: str, items: Any, parts: int | None = ...) -> Handle[list[Any]]: ...
    def scatter(self, fn: Any, items: Any, parts: int | None = None, *, keep: bool = False) -> Handle[list[Any]]:
        """Cut `items` into `parts` pieces and run `fn(piece)` on each at once; the Handle of their results, in order.

        parts: by default what the pool can run at once, so that every runner it may have gets some. keep: the results
        stay there, and are references here. Of a list of references each piece is a list of their objects.

        >>> sums = await pool.scatter(sum, range(1_000_000))
        """
        return scattered(self, fn, items, parts, self._kept("scatter", fn, self._of("scatter"), keep))

    # others

    def place_child(self, child: Any, /, *args: Any, **kwargs: Any) -> Handle[Pid]:
        """Start a process on a runner, under its supervisor: a Server class, an async function, or a ChildSpec. Its
        pid.

        It is never restarted. It has a slot of its runner until it ends, and keeps the runner up. By default it is
        linked with who asks: each ends when the other does; `options(link=False)`: not.

        >>> cache = await pool.place_child(Cache, size=1000)
        """
        from beampy.pool.placing import START, Placing, described

        self._at_work()
        me = self._caller("place_child")
        options = self._of("place_child")
        told = (described(child, args, kwargs), me.pid)

        def start() -> PoolCall:
            return self._start(me, START, told, {"link": options.link}, options, None, Placing)

        return api.submit(me, start, "pool.place_child") if self._off_loop(me) else start()

    @overload
    def remote(  # type: ignore[overload-overlap]
        self, fn: Callable[P, AsyncGenerator[T, Any]]
    ) -> RemoteFunction[P, PoolStream[T]]: ...
    @overload
    def remote(  # type: ignore[overload-overlap]
        self, fn: Callable[P, Generator[T, Any, Any]]
    ) -> RemoteFunction[P, PoolStream[T]]: ...
    @overload
    def remote(self, fn: Callable[P, Awaitable[T]]) -> RemoteFunction[P, Handle[T]]: ...
    @overload
    def remote(self, fn: Callable[P, T]) -> RemoteFunction[P, Handle[T]]: ...
    def remote(self, fn: Callable[P, Any]) -> RemoteFunction[P, Any]:
        """Make calls of a function calls of the pool.

        >>> @pool.remote
        ... def area(r): return 3.14 * r * r
        >>> await area(2)
        12.56
        """
        return RemoteFunction(self, fn)

    def executor(self) -> Executor:
        """The pool as a `concurrent.futures.Executor`. Its shutdown ends what was submitted to it, not the pool.

        >>> with pool.executor() as executor:
        ...     futures = [executor.submit(pow, 2, n) for n in range(10)]
        """
        from beampy.pool.executor import PoolExecutor

        return PoolExecutor(self, self._of("executor"))

    def _width(self) -> int:
        """How many calls the pool can run at once when it has grown."""
        manager = self._at_work()
        return manager.plan.limits.max * manager.width
