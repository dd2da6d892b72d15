"""The process that every supervisor is: how it is started, what it hears, how it ends, and its clients.

Rule: a supervisor does one thing after the other and traps exits. While it waits for a child's start or end, what
others ask of it waits in its mailbox; only a kill is never kept waiting, and takes the children along, by links.

    parent's Exit, stop                 stop the children, end for that reason
    any other Exit                      a child has ended (one that is no child's is ignored)
    a call                              a method marked `@bp.call`; what it raises goes to the caller
    a System message                    otp/control.py
    anything else                       logged

Place: below the kinds of supervisors, which say what each of these means. Not known here: what a child is.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, cast

from beampy import api
from beampy.core.extras import Become
from beampy.core.signals import Crash, Exit, safe_repr
from beampy.errors import BadReturn, BadSpec, InternalError, StartFailed
from beampy.otp import gen
from beampy.otp.control import Control
from beampy.otp.messages import Call, Cast, Method, System
from beampy.otp.supervised import Supervised
from beampy.otp.typed import Bound, make_client, marked_methods
from beampy.otp.upkeep import log

if TYPE_CHECKING:
    from collections.abc import Hashable

    from beampy.core.ids import Pid
    from beampy.handle import Handle
    from beampy.otp.child import ChildType


class Again(NamedTuple):
    """A supervisor's message to itself: the turn of the next attempt to restart this child."""

    child: Hashable


class AnySupervisor(Supervised):
    """What supervisors of all kinds have: the ways to start them and to reach them.

    The constructor, then `init`, run in the supervisor's own process. `start` and `start_link` return a client; its
    calls have no deadline, since a child may take its time to start or stop; `options(timeout=…)` gives them one.
    """

    _child_type: ClassVar[ChildType] = "supervisor"
    _loop: ClassVar[type[TreeLoop]]
    _methods: ClassVar[dict[str, Bound]] = {}
    _running: Any = None  # its TreeLoop, once it runs

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._methods = marked_methods(cls)

    def init(self) -> Any:
        """After the constructor, before any child. May return bp.IGNORE or bp.Stop(reason); may be an async method."""

    @classmethod
    def start(
        cls,
        *args: Any,
        name: gen.Name | None = None,
        timeout: float | None = None,
        node: str | None = None,
        **kwargs: Any,
    ) -> Handle[Self]:
        """Start it, with no link. A client; `timeout`, in seconds, is for all its children to start as well."""
        return _start(cls, args, kwargs, name, timeout, node, link=False)

    @classmethod
    def start_link(
        cls,
        *args: Any,
        name: gen.Name | None = None,
        timeout: float | None = None,
        node: str | None = None,
        **kwargs: Any,
    ) -> Handle[Self]:
        """Start it, linked with the current process, which becomes its parent. A client.

        Raises BadSpec; StartFailed, with the reason ("shutdown", ("failed_to_start_child", id, reason)) when a
        child did not come up, after those before it were stopped again; AlreadyStarted; StartTimeout; StartIgnored.
        """
        return _start(cls, args, kwargs, name, timeout, node, link=True)

    @classmethod
    def client(cls, dest: Any) -> Self:
        """A client for a supervisor of this class that runs: by its pid or registered name."""
        return cast("Self", make_client(cls, dest, None))

    # what a client has besides the marked methods

    @property
    def pid(self) -> Pid:
        """The supervisor's pid."""
        return api.self()

    def options(self, *, timeout: float | None) -> Self:
        """A client whose calls wait so many seconds at most; None waits forever."""
        return cast("Self", make_client(type(self), self.pid, timeout))

    def stop(self, reason: Any = "normal", timeout: float | None = None) -> Handle[None]:
        """Stop the children, then the supervisor, in order, and wait for its end."""
        return gen.stop(self.pid, reason, timeout)


@api.timed
async def _start(
    cls: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: gen.Name | None,
    timeout: float | None,
    node: str | None,
    *,
    link: bool,
) -> Any:
    try:
        pid = await gen.start(
            _live, cls, args, kwargs, name, what=cls.__name__, link=link, name=name, timeout=timeout, node=node
        )
    except StartFailed as failed:
        reason = failed.reason
        if isinstance(reason, Crash) and reason.type == f"{BadSpec.__module__}.{BadSpec.__qualname__}":
            raise reason.exception or BadSpec(reason.message) from None
        raise failed from root_cause(reason)
    return make_client(cls, pid, None)


def root_cause(reason: Any) -> BaseException | None:
    """The exception at the bottom of a start's reason, through the supervisors that it passed."""
    match reason:
        case ("shutdown", ("failed_to_start_child", _, why)):
            return root_cause(why)
        case Crash(exception=error):
            return error
    return None


async def _live(
    ready: gen.Ready, cls: type[AnySupervisor], args: tuple[Any, ...], kwargs: dict[str, Any], name: gen.Name | None
) -> Become:
    api.trap_exit(True)
    loop = cls._loop(cls(*args, **kwargs), ready, name)
    await loop.begin()
    ready()
    return Become(loop.serve())


class TreeLoop(ABC):
    """The loop of one supervisor. A kind of supervisor fills in what is done for its children."""

    __slots__ = ("clock", "control", "label", "parent", "ready", "supervisor")

    def __init__(self, supervisor: Any, ready: gen.Ready, name: gen.Name | None) -> None:
        supervisor._running = self
        self.supervisor = supervisor
        self.ready = ready
        # One that was started without a link still ends when its starter, or the end of the node, says so.
        self.parent = ready.parent or api.ancestors()[0]
        self.control = Control()
        self.clock = asyncio.get_running_loop().time
        self.label = f"{name or type(supervisor).__name__} {api.self()!r}"

    @abstractmethod
    async def start_all(self) -> None:
        """Start the children that are there from the beginning."""

    @abstractmethod
    async def child_exited(self, pid: Pid, reason: Any) -> None:
        """A process that may be a child has ended."""

    @abstractmethod
    async def try_again(self, child: Hashable) -> None:
        """The turn of an `Again` has come."""

    @abstractmethod
    async def system_stop(self, reason: Any) -> None:
        """Stop all children and end for `reason`."""

    @abstractmethod
    def system_state(self) -> Any:
        """What debug.get_state shows."""

    def system_replace(self, state: Any) -> None:
        """A supervisor's state is what runs: it changes by starting and stopping."""
        raise TypeError("the state of a supervisor cannot be replaced: start, stop and delete its children instead")

    async def begin(self) -> None:
        """Init, and the first children."""
        try:
            answer = self.supervisor.init()
            if inspect.isawaitable(answer):
                answer = await answer
        except gen.Stop as stop:
            answer = stop
        if isinstance(answer, gen.Ignore):
            self.ready.refuse(answer)
            api.exit("normal")
        if isinstance(answer, gen.Stop):
            self.finish(answer.reason)
        if answer is not None:
            callback = f"{type(self.supervisor).__name__}.init"
            raise BadReturn(callback, safe_repr(answer), "None, bp.IGNORE or bp.Stop(reason)")
        await self.start_all()

    async def serve(self) -> None:
        """Serve until the end."""
        while True:
            message = await api.receive()
            kind = message.__class__
            if self.control.watching:
                self.control.tell("in", message)
            if kind is Exit:
                if message.pid == self.parent:
                    await self.system_stop(message.reason)
                else:
                    await self.child_exited(message.pid, message.reason)
            elif kind is Call:
                await self._call(message)
            elif kind is System:
                await self.control.handle(self, message)
            elif kind is Again:
                await self.try_again(message.child)
            else:
                await self._other(message)

    def finish(self, reason: Any) -> None:
        """End the supervisor; one that never was ready tells its starter why, and nobody else."""
        if not self.ready.answered:
            self.ready.refuse(reason)
            api.exit(reason)
        if self.control.watching:
            self.control.tell("stop", reason)
        gen.finish(reason)

    async def _call(self, message: Call) -> None:
        answer: Any
        try:
            answer = await self._asked(message.request)
            gen.reply(message, answer)
        except InternalError:
            raise
        except Exception as error:  # what was asked did not work out, or its answer cannot travel; the children stay
            gen.reply_error(message, error)
            answer = error
        if self.control.watching:
            self.control.tell("out", (message, answer))

    async def _other(self, message: Any) -> None:
        if not isinstance(message, Cast):
            log.error("%s got an unexpected message: %s", self.label, safe_repr(message))
            return
        try:
            await self._asked(message.request)
        except InternalError:
            raise
        except Exception:
            log.exception("%s: a cast failed: %s", self.label, safe_repr(message.request))

    async def _asked(self, request: Any) -> Any:
        bound = self.supervisor._methods.get(request.name) if request.__class__ is Method else None
        if bound is None:
            raise NotImplementedError(f"{type(self.supervisor).__name__} knows no request {safe_repr(request)}")
        answer = bound.fn(self.supervisor, *request.args, **request.kwargs)
        return await answer if inspect.iscoroutine(answer) else answer
