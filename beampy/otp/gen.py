"""What all behaviours share: starting with an acknowledgement, calling, casting, replying and stopping.

Rule: a behaviour is an async function that runs in a process of its own. `start` returns when its init has said
it is ready, or raises why it is not; `call` waits for an answer and knows when none can come. Written with the
public verbs only, so where the other process lives makes no difference.

Benchmark: benchmarks/call.py.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from beampy import api
from beampy.core.current import current, here
from beampy.core.extras import Become
from beampy.core.mailbox import equal
from beampy.core.report import crash_report
from beampy.core.request import Failed, Request
from beampy.core.signals import Crash, is_expected
from beampy.errors import (
    AlreadyStarted,
    BadDestination,
    CallTimeout,
    NameTaken,
    NoProcess,
    NotRegistered,
    ProcessExit,
    ServerExited,
    StartFailed,
    StartIgnored,
    StartTimeout,
)
from beampy.otp.messages import Call, Cast, System

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref
    from beampy.core.process import Process
    from beampy.handle import Handle

log = logging.getLogger("beampy.otp")

get_current = current.get

CALL_TIMEOUT = 5.0  # seconds, as gen_server:call/2


class Ignore:
    """The one value of `IGNORE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "bp.IGNORE"


IGNORE = Ignore()


class Stop(Exception):
    """A callback's wish to stop its server: return it or raise it.

    `reply`, where given, answers the call being handled. Reasons other than "normal", "shutdown" and
    ("shutdown", x) are logged and end linked processes.

    >>> async def handle_call(self, request, from_):
    ...     raise bp.Stop("normal", reply="bye")
    """

    def __init__(self, reason: Any = "normal", *, reply: Any = ...) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


# starting


class Ack(NamedTuple):
    """What an init tells its starter. `error` is None, or the StartFailed to raise."""

    error: StartFailed | None


Loop = Callable[..., Awaitable[Become | None]]
"""A behaviour: `await loop(ready, *args)`, which calls `ready()` once its init is done.

It serves until the end, or returns `Become(self.serve())`, which does the same without the frames of the start.
"""


class Ready:
    """Handed to a behaviour: call it when init is done; `refuse` when it will not run."""

    __slots__ = ("_link", "_ref", "_starter", "_what", "parent")

    def __init__(self, what: str, starter: Pid, ref: Ref, link: bool) -> None:
        self._what = what
        self._starter = starter
        self._ref: Ref | None = ref
        self._link = link
        # Whose exit ends it even when it traps exits: who is linked as its parent, or the node itself when it stops.
        self.parent: Pid | None = starter if link else api.node_pid()

    def __call__(self) -> None:
        """Init is done: the starter goes on."""
        self._answer(None)

    def refuse(self, reason: Any) -> None:
        """Init says no. The starter gets the error and is not linked any more. After an answer it does nothing."""
        error: StartFailed
        if isinstance(reason, Ignore):
            error = StartIgnored(self._what)
        else:
            error = reason if isinstance(reason, StartFailed) else StartFailed(self._what, reason)
        if self._ref is not None:
            if self._link:
                api.unlink(self._starter)
            self._answer(error)

    @property
    def answered(self) -> bool:
        """Whether the starter has gone on."""
        return self._ref is None

    def _answer(self, error: StartFailed | None) -> None:
        if self._ref is not None:
            ref, self._ref = self._ref, None
            api.send(ref, Ack(error))


class Claim(Protocol):
    """A name of another kind than the node's own, such as a key of a Registry: `reg.via(key)`."""

    def claim(self) -> Awaitable[None] | None:
        """Give it to the current process, or raise NameTaken. What it returns, if anything, is awaited."""


Name = str | Claim


class Begin(NamedTuple):
    """The first message of a behaviour: where to send the acknowledgement."""

    ref: Ref


async def _born(what: str, starter: Pid, link: bool, name: Name | None, loop: Loop, args: tuple[Any, ...]) -> Any:
    api.set_label(what)
    begin: Begin = await api.receive()
    ready = Ready(what, starter, begin.ref, link)
    try:
        if name is not None:
            try:
                await _claim(name)
            except NameTaken as taken:
                ready.refuse(AlreadyStarted(what, taken.pid))
                return None
        goes_on = await loop(ready, *args)
    except Stop as stop:
        if ready.answered:
            raise
        ready.refuse(stop.reason)
        api.exit(stop.reason)
    except Exception as error:
        if ready.answered:
            raise
        # The starter raises it; it is not reported a second time.
        crash = Crash.of(error)
        ready.refuse(crash)
        api.exit(crash)
    except ProcessExit as left:
        ready.refuse(left.reason)
        raise
    # Of an exit signal or a kill during init the starter hears by its monitor; a killed process can say nothing.
    ready.refuse("its init ended without saying that it is ready")
    return goes_on


async def _claim(name: Name) -> None:
    if isinstance(name, str):
        api.register(name, api.self())
    elif (claiming := name.claim()) is not None:
        await claiming


@api.timed
async def start(
    loop: Loop,
    *args: Any,
    what: str,
    link: bool = False,
    name: Name | None = None,
    timeout: float | None = None,
    node: str | None = None,
) -> Pid:
    """Start a behaviour, here or on `node`, and wait until its init is done. Its pid.

    Raises AlreadyStarted (the name is taken), StartFailed with init's reason, StartIgnored, or StartTimeout
    after `timeout` seconds (the process is killed then). A start that fails leaves no link behind, so the
    starter decides what it means; in OTP the link would end it. NotConnected and NodeDown, for another node.
    """
    if node is None:
        pid = api.spawn(_born, what, api.self(), link, name, loop, args, link=link)
    else:
        pid = await api.spawn(_born, what, api.self(), link, name, loop, args, link=link, node=node)
    pending = api.request(pid, timeout)
    api.send(pid, Begin(pending.ref))
    try:
        ack = await pending
    except CallTimeout:
        api.unlink(pid)
        api.exit(pid, "kill")
        raise StartTimeout(what, timeout or 0) from None
    except (ServerExited, NoProcess) as gone:
        raise StartFailed(what, gone.reason) from None
    except GeneratorExit:  # the starter was killed: it can do nothing more, and the link does what is to be done
        raise
    except BaseException:
        api.exit(pid, "kill")  # whoever started it is gone
        raise
    if ack.error is not None:
        error: StartFailed = ack.error
        cause = error.reason.exception if isinstance(error.reason, Crash) else None
        raise error from cause
    return pid


# calling


def call(server: Any, request: Any, /, *, timeout: float | None = CALL_TIMEOUT) -> Handle[Any]:
    """Ask a server; the Handle of its answer. See `typed.call`, its public form."""
    try:
        me = get_current()
    except LookupError:
        me = here("call", server)
    if me._thread != get_ident() and me.node.thread != get_ident():
        return api.submit(me, lambda: call(server, request, timeout=timeout), f"call to {server!r}")
    pending = Request(me, server, timeout)
    if pending.to is not None:
        try:
            api.send(pending.to, tuple.__new__(Call, (pending.ref, me.pid, request)))
        except BaseException:  # EncodeError, PeerBusy: nothing was asked
            pending.cancel()
            raise
    return pending


def cast(server: Any, request: Any, /) -> None:
    """Send a request that wants no answer. It never fails: a server that is not there does not get it.

    >>> bp.cast("counter", "reset")
    """
    me = here("cast")
    if isinstance(server, str):
        server = (server, me.node.name)
    try:
        api.send(server, Cast(request))
    except NotRegistered:  # a key of a registry
        return


def reply(to: Call, value: Any) -> None:
    """Answer a call, from anywhere: `to` is the `from_` of handle_call. An answer nobody waits for is dropped.

    >>> async def handle_call(self, request, from_):
    ...     bp.spawn(work_it_out, request, from_)      # which ends with bp.reply(from_, value)
    ...     return bp.NOREPLY
    """
    if not isinstance(to, Call):
        raise BadDestination(to)
    api.send(to.ref, value)


def reply_error(to: Call, error: BaseException) -> None:
    """Answer a call with an exception, which is raised at the caller."""
    api.send(to.ref, Failed(Crash.of(error), api.self()))


@api.timed
async def stop(server: Any, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop a behaviour: its terminate runs, it ends with `reason`, and only then this returns.

    Raises NoProcess when it is not there, CallTimeout after `timeout` seconds (it goes on stopping), and
    ServerExited when it ended with another reason.
    """
    pending = system_request(server, "terminate", reason, timeout)
    try:
        await pending
    except ServerExited as ended:
        if ended.reason is not reason and not equal(ended.reason, reason):
            raise


def system_request(server: Any, op: str, arg: Any = None, timeout: float | None = CALL_TIMEOUT) -> Request:
    """Ask the behaviour itself: the operations of `otp.debug`."""
    pending = api.request(server, timeout)
    if pending.to is not None:
        api.send(pending.to, System(pending.ref, api.self(), op, arg))
    return pending


# ending


def note_for_report(note: Callable[[], dict[str, str]]) -> None:
    """What a crash report of the current process says besides the usual: called when it is written."""
    api.self_process().extras().report_note = note


def finish(reason: Any) -> None:
    """End the current process for a reason a callback gave; one that is no orderly end is reported."""
    me: Process = api.self_process()
    if not is_expected(reason):
        log.error("%s", crash_report(me, reason))
    api.exit(reason)
