"""Server: a process with state that answers calls, one after the other. OTP's gen_server.

Two faces on one loop. The Python face: methods marked `@bp.call` and `@bp.cast`, called through a typed client.
The OTP face: `handle_call`, `handle_cast`, `handle_info`, `handle_continue`, for requests of any shape. Both may
be used in one class. The object lives in its process; nobody else touches it.

What ends a server: `bp.Stop`, an error in a callback (the caller whose request it was gets the error as itself,
other waiting callers get ServerExited), its parent's end when it traps exits, `stop`, and any exit signal.
`terminate` runs in all of these but the last.

Benchmark: benchmarks/call.py.
"""

from __future__ import annotations

import asyncio
import logging
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from beampy import api
from beampy.core.extras import Become
from beampy.core.request import Failed
from beampy.core.signals import Crash, Exit, safe_repr
from beampy.errors import BadReturn, DecodeError, EncodeError, ProcessExit
from beampy.otp import gen
from beampy.otp.control import Control
from beampy.otp.gen import IGNORE, Name, Ready, Stop
from beampy.otp.messages import Call, Cast, Method, System
from beampy.otp.supervised import Supervised
from beampy.otp.typed import Bound, make_client, marked_methods

if TYPE_CHECKING:
    from beampy.core.ids import Pid
    from beampy.handle import Handle

log = logging.getLogger("beampy.otp")

IDLE = "timeout"  # what handle_info gets when nothing came for the `timeout` of a callback's answer


class Reply:
    """What handle_call may return instead of a bare value: the value, and what comes next.

    `timeout`: seconds without a message after which handle_info gets "timeout". `then`: handle_continue gets it
    before any other message.
    """

    __slots__ = ("then", "timeout", "value")

    def __init__(self, value: Any, *, timeout: float | None = None, then: Any = ...) -> None:
        self.value = value
        self.timeout = timeout
        self.then = then


class NoReply:
    """What a callback may return: nothing is answered (yet), and what comes next, as in `Reply`."""

    __slots__ = ("then", "timeout")

    def __init__(self, *, timeout: float | None = None, then: Any = ...) -> None:
        self.timeout = timeout
        self.then = then


NOREPLY = NoReply()

INSTRUCTIONS = frozenset({NoReply, Reply, Stop})  # answers that tell the server something, by their exact class


class Server(Supervised):
    """Subclass it, mark methods or override the callbacks, and start it.

    >>> class Counter(bp.Server):
    ...     def __init__(self, start: int = 0):
    ...         self.n = start
    ...     @bp.call
    ...     async def add(self, by: int = 1) -> int:
    ...         self.n += by
    ...         return self.n
    >>> counter = await Counter.start_link(10, name="counter")
    >>> await counter.add(5)
    15

    The constructor and then `init` run in the new process; `start` and `start_link` return a client when both are
    done, or raise AlreadyStarted, StartFailed, StartIgnored or StartTimeout.
    """

    trap_exit: ClassVar[bool] = False
    """Whether the process traps exits from the start: needed for `terminate` to run when its supervisor stops it."""

    _methods: ClassVar[dict[str, Bound]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._methods = marked_methods(cls)

    # callbacks

    async def init(self) -> Any:
        """After the constructor. May return IGNORE, Stop(reason), or NoReply(then=…, timeout=…)."""

    async def handle_call(self, request: Any, from_: Call) -> Any:
        """Answer a call: return the answer, Reply(…), NOREPLY (bp.reply answers later), or Stop(reason, reply=…)."""
        raise NotImplementedError(f"{type(self).__name__} has no handle_call for {safe_repr(request)}")

    async def handle_cast(self, request: Any) -> Any:
        """Handle a cast. Returns None, NoReply(…) or Stop(reason)."""
        raise NotImplementedError(f"{type(self).__name__} has no handle_cast for {safe_repr(request)}")

    async def handle_info(self, message: Any) -> Any:
        """Handle any other message: a plain send, a Down, an Exit, "timeout". Returns as handle_cast."""
        log.warning(
            "%s %r got an unexpected message: %s",
            type(self).__name__,
            api.self(),
            safe_repr(message),
        )

    async def handle_continue(self, then: Any) -> Any:
        """What `then=` of an answer asked for, before any other message. Returns as handle_cast."""
        raise NotImplementedError(f"{type(self).__name__} has no handle_continue for {safe_repr(then)}")

    async def terminate(self, reason: Any) -> None:
        """Clean up. Not called when an exit signal ends a server that does not trap exits, nor by a kill."""

    # starting

    @classmethod
    def start(
        cls, *args: Any, name: Name | None = None, timeout: float | None = None, node: str | None = None, **kwargs: Any
    ) -> Handle[Self]:
        """Start it, with no link. A client; `timeout` in seconds is for the constructor and init.

        With `node` it runs there. Its code travels by itself; installed packages must be there, or see
        `Node(packages=)`.
        """
        return _start(cls, args, kwargs, name, timeout, node, link=False)

    @classmethod
    def start_link(
        cls, *args: Any, name: Name | None = None, timeout: float | None = None, node: str | None = None, **kwargs: Any
    ) -> Handle[Self]:
        """Start it, linked with the current process, which becomes its parent. A client."""
        return _start(cls, args, kwargs, name, timeout, node, link=True)

    @classmethod
    def client(cls, dest: Any) -> Self:
        """A client for a server of this class that runs: by its pid or registered name."""
        return cast("Self", make_client(cls, dest))

    # what a client has besides the marked methods; here for type checkers, and for the server itself

    @property
    def pid(self) -> Pid:
        """The server's pid."""
        return api.self()

    def options(self, *, timeout: float | None) -> Self:
        """A client with another deadline for its calls, in seconds; None waits forever."""
        return cast("Self", make_client(type(self), self.pid, timeout))

    def stop(self, reason: Any = "normal", timeout: float | None = None) -> Handle[None]:
        """Stop it in order and wait for its end (on a client; the server itself raises bp.Stop)."""
        return gen.stop(self.pid, reason, timeout)


@api.timed
async def _start(
    cls: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: Name | None,
    timeout: float | None,
    node: str | None,
    *,
    link: bool,
) -> Any:
    pid = await gen.start(_live, cls, args, kwargs, what=cls.__name__, link=link, name=name, timeout=timeout, node=node)
    return make_client(cls, pid)


async def _live(ready: Ready, cls: type[Server], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Become:
    if cls.trap_exit:
        api.trap_exit(True)
    loop = Loop(cls(*args, **kwargs), ready.parent)
    return Become(loop.serve(await loop.init(ready)))


class Loop:
    """The loop of one server: takes messages, runs callbacks, and knows how it all ends."""

    __slots__ = ("busy_with", "control", "ending", "parent", "server", "timeout")

    def __init__(self, server: Any, parent: Pid | None) -> None:
        self.server = server
        self.parent = parent
        self.control = Control()
        self.ending = False  # terminate runs, or has run
        self.timeout: float | None = None
        self.busy_with: Any = None

    async def init(self, ready: Ready) -> Any:
        """Run init and tell the starter. What init answered is for `serve`."""
        gen.note_for_report(self._note)
        answer = await _called(self.server.init())
        if answer is IGNORE:
            ready.refuse(IGNORE)
            api.exit("normal")
        if isinstance(answer, Stop):
            raise answer
        if answer is not None and not isinstance(answer, NoReply):
            raise self._bad_return("init", answer)
        ready()
        return answer

    async def serve(self, first: Any) -> None:
        """Serve until the end. One frame: it is all of the stack that an idle server keeps."""
        try:
            await self._next("init", first)
            first = None
            server, control = self.server, self.control
            methods = server._methods
            receive, send = api.receive, api.send
            while True:
                try:
                    if self.timeout is None:
                        message = await receive()
                    else:
                        message = await receive(timeout=self.timeout, default=IDLE)
                except DecodeError as unreadable:  # handle_info's: what another node sends must not end a server
                    message = cast("Any", unreadable)
                    if unreadable.ref is not None:  # a call: who waits for its answer hears of it, too
                        send(unreadable.ref, Failed(Crash.of(unreadable), api.self()))
                if self.timeout is not None and message.__class__ is not System:
                    self.timeout = None  # to be looked at does not end the wait, as in OTP
                kind = message.__class__
                self.busy_with = message
                if control.watching:
                    control.tell("in", message)
                if kind is Call:
                    request = message.request
                    bound = methods.get(request.name) if request.__class__ is Method else None
                    try:
                        if bound is None:
                            answer = server.handle_call(request, message)
                        else:
                            answer = bound.fn(server, *request.args, **request.kwargs)
                        if answer.__class__ is CoroutineType:
                            answer = await answer
                    except Exception as error:
                        if not self._call_failed(message, bound, error):
                            raise
                    else:
                        if control.watching or answer.__class__ in INSTRUCTIONS:
                            await self._answered(message, answer)
                        else:
                            try:
                                send(message.ref, answer)
                            except EncodeError as error:  # what is wrong with the answer is the caller's to see
                                gen.reply_error(message, error)
                elif kind is Cast:
                    request = message.request
                    bound = methods.get(request.name) if request.__class__ is Method else None
                    if bound is None:
                        await self._next("handle_cast", await _called(server.handle_cast(request)))
                    else:
                        answer = await _called(bound.fn(server, *request.args, **request.kwargs))
                        if isinstance(answer, (Stop, NoReply)):  # any other value is the method's own business
                            await self._next("handle_cast", answer)
                elif kind is System:
                    await control.handle(self, message)
                elif kind is Exit and self.parent is not None and message.pid == self.parent:
                    await self.system_stop(message.reason)
                else:
                    await self._next("handle_info", await _called(server.handle_info(message)))
                self.busy_with = message = request = answer = bound = (
                    None  # an idle server keeps nothing of the last message
                )
        except Stop as stop:
            await self.system_stop(stop.reason)
        except (asyncio.CancelledError, GeneratorExit):
            raise  # an exit signal or a kill: no terminate, as in OTP
        except ProcessExit as left:
            if self.ending:
                raise
            await self.system_stop(left.reason)
        except Exception as error:
            if not self.ending:
                await self._terminate(Crash.of(error))
            raise

    def _call_failed(self, message: Call, bound: Bound | None, error: Exception) -> bool:
        """A callback has raised: the caller is told. Whether the server goes on: only from what was announced."""
        if isinstance(error, Stop):
            if error.reply is not ...:
                self._reply(message, error.reply)
            return False
        gen.reply_error(message, error)
        return bound is not None and (isinstance(error, bound.mark.raises) or _did_not_fit(error))

    async def _answered(self, message: Call, answer: Any) -> None:
        if isinstance(answer, Stop):
            if answer.reply is not ...:
                self._reply(message, answer.reply)
            raise answer
        if isinstance(answer, NoReply):
            if self.control.watching:
                self.control.tell("noreply", message)
            await self._next("handle_call", answer)
        elif isinstance(answer, Reply):
            self._reply(message, answer.value)
            await self._next("handle_call", NoReply(timeout=answer.timeout, then=answer.then))
        else:
            self._reply(message, answer)

    def _reply(self, message: Call, value: Any) -> None:
        if self.control.watching:
            self.control.tell("out", (message, value))
        try:
            api.send(message.ref, value)
        except EncodeError as error:
            gen.reply_error(message, error)

    async def _next(self, callback: str, answer: Any) -> None:
        """What a callback's answer asks for: continue, an idle timeout, or the end."""
        while answer is not None:
            if isinstance(answer, Stop):
                raise answer
            if not isinstance(answer, NoReply):
                raise self._bad_return(callback, answer)
            self.timeout = answer.timeout
            if answer.then is ...:
                return
            callback = "handle_continue"
            answer = await _called(self.server.handle_continue(answer.then))

    def _bad_return(self, callback: str, answer: Any) -> BadReturn:
        return BadReturn(
            f"{type(self.server).__name__}.{callback}",
            safe_repr(answer),
            "None, NoReply(…) or Stop(reason)",
        )

    # the end

    async def system_stop(self, reason: Any) -> None:
        """Terminate in order, and end for `reason`."""
        if self.control.watching:
            self.control.tell("stop", reason)
        await self._terminate(reason)
        gen.finish(reason)

    async def _terminate(self, reason: Any) -> None:
        """Run terminate, once. What it raises is the reason in place of the other one."""
        self.ending = True
        try:
            await _called(self.server.terminate(reason))
        except (Stop, ProcessExit) as left:
            gen.finish(left.reason)

    # system

    def system_state(self) -> Any:
        """The server object's attributes, as a copy."""
        return dict(vars(self.server))

    def system_replace(self, state: Any) -> None:
        """Put other attributes in their place."""
        attributes = dict(state)  # what is no dict is refused before the old state is gone
        vars(self.server).clear()
        vars(self.server).update(attributes)

    def _note(self) -> dict[str, str]:
        note = {"server": type(self.server).__qualname__}
        if self.busy_with is not None:
            note["last message"] = described(self.busy_with)
        note["state"] = safe_repr(getattr(self.server, "__dict__", self.server))
        return note


def described(message: Any) -> str:
    """A message as a person would say it."""
    if not isinstance(message, (Call, Cast)):
        return safe_repr(message)
    request = message.request
    if isinstance(request, Method):
        arguments = [safe_repr(a, 100) for a in request.args]
        arguments += [f"{key}={safe_repr(value, 100)}" for key, value in request.kwargs.items()]
        text = f"{request.name}({', '.join(arguments)})"
    else:
        text = safe_repr(request)
    return f"call from {message.pid!r}: {text}" if isinstance(message, Call) else f"cast: {text}"


async def _called(result: Any) -> Any:
    """A callback's answer, whether it is `async def` or `def`."""
    return await result if result.__class__ is CoroutineType else result


def _did_not_fit(error: Exception) -> bool:
    """Whether the arguments did not fit the method: then none of its code ran, and the server is as good as before."""
    tb = error.__traceback__
    return isinstance(error, TypeError) and tb is not None and tb.tb_next is None
