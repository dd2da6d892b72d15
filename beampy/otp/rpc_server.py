"""The callee's side of remote calls: one process a node, under a reserved name, and one process a call.

Rule: a call is one message to the server, which starts a process for it; that process runs the function and answers
the caller itself. The caller's monitor, which comes with its call, moves from the server to that process, so a kill or
an exit signal there is heard by the caller with its reason, under the same ref, and costs no message when all is well.

What ends a call early: a `Cancel` from the caller, who sends it whatever ends him, and the loss of his node, which
the server monitors as long as calls from there run. Its process is then told "shutdown" and has the time to clean up.

Place: under rpc.py, which says what callers see. It does not know how messages travel.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import CancelledError
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy import api
from beampy.core.current import current
from beampy.core.group_leader import Channel, leader
from beampy.core.mailbox import next_undecoded
from beampy.core.request import Failed
from beampy.core.signals import CANCELLED, NOCONNECTION, NOPROC, SHUTDOWN, Crash, Down, ExitSignal
from beampy.core.standin import has_standins, resolved
from beampy.core.unread import NeedsThread, Unread
from beampy.errors import DecodeError, EncodeError, ProcessExit
from beampy.errors.code import OF_CODE
from beampy.otp import output
from beampy.otp.rpc_function import Kind, found, kind_of, shown, streams
from beampy.otp.rpc_produce import Producer, produce
from beampy.otp.rpc_thread import in_thread
from beampy.otp.rpc_threads import threads_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.ids import Pid, Ref
    from beampy.core.node import LocalNode
    from beampy.core.process import Process

log = logging.getLogger("beampy.otp")

RPC = "beampy.rpc"  # the reserved name

SWEEP = 256  # calls in the table from which it is looked through for processes that were killed before their first line
UNKNOWN: Any = None
WATCH_AGAIN = 1.0  # seconds until a node whose server was not there is watched again


class Call(NamedTuple):
    """Run `fn(*args, **kwargs)` and answer `ref`. `fn` is a function or its name, `caller` a pid.

    `items`: where the items of a stream go, at most `window` of them ahead of the reader. `leader`: where output goes.
    """

    ref: Ref
    caller: Pid
    fn: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    leader: Ref | None = None
    items: Ref | None = None
    window: int = 0


class Cast(NamedTuple):
    """Run it; nobody waits."""

    fn: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    leader: Ref | None = None


class Cancel(NamedTuple):
    """Nobody waits for the call any more."""

    ref: Ref


class More(NamedTuple):
    """The reader of a stream has taken so many items."""

    ref: Ref
    taken: int


class Left(NamedTuple):
    """The answer of a function that said exit(reason)."""

    reason: Any
    pid: Pid


class Unreadable(NamedTuple):
    """To the server of the caller's node: a message of `sender`, from there, could not be read here."""

    sender: Pid
    node: str
    cause: str | BaseException  # one of OF_CODE as itself: what it says is for the caller


class Ask(NamedTuple):
    """Is this call known? If not, it was the message that could not be read."""

    ref: Ref
    cause: str | BaseException


class Read(NamedTuple):
    """To the server itself: a message that was read apart, or the DecodeError, and the call that it is."""

    ref: Ref | None
    message: Any


class Watch(NamedTuple):
    """To the server itself: look at a node again."""

    node: str


def start_rpc(node: LocalNode) -> Pid:
    """Start the server of a node, where it does not run. Its pid. On the node's own thread."""
    there = node.registry.pids.get(RPC)
    if there is not None:
        return there
    server = Server()
    server.me, _ = node.spawn(server.serve, (), None, name=RPC)
    return server.me.pid


class Server:
    """The calls that run on this node for others."""

    def __init__(self) -> None:
        self.me: Process
        self.jobs: dict[Ref, Process] = {}
        self.reading: dict[Ref, bool] = {}  # calls that are being read, and whether they are still wanted
        self.producers: dict[Ref, Producer] = {}
        self.callers: dict[str, tuple[Ref | None, dict[Ref, None]]] = {}  # by node: our monitor, and their calls
        self.sweep_at = SWEEP
        self.captures = False

    async def serve(self) -> None:
        """Take calls until the node stops."""
        leader.set(None)
        api.set_label(RPC)
        threads = threads_of(self.me.node)
        if threads is not None:
            threads.open()
        try:
            while True:
                message = await next_undecoded()
                try:
                    if message.__class__ is Unread:
                        message = message.now()
                except NeedsThread:
                    self.read_apart(message)
                    del message
                    continue
                except DecodeError as unreadable:
                    self.unreadable(unreadable)
                    continue
                handle = HANDLERS.get(message.__class__)
                if handle is not None:
                    handle(self, message)
                del message  # while it waits for the next one it keeps nobody's arguments
        finally:
            if threads is not None:
                threads.close()
            if self.captures:
                output.release()

    # calls whose code is not here yet

    def read_apart(self, unread: Unread) -> None:
        """Read a message in a process of its own: it may wait for another node, which may wait for this one."""
        ref = unread.asked()
        if ref is not None:
            self.reading[ref] = True
        self.me.node.spawn(self.read, (unread, ref), self.me)

    async def read(self, unread: Unread, ref: Ref | None) -> None:
        """The whole life of that process."""
        api.set_label("beampy.rpc: reading")
        message: Any
        try:
            message = await unread.in_thread(asyncio.get_running_loop())
        except DecodeError as unreadable:
            message = unreadable
        self.me.deliver(Read(ref, message))

    def has_read(self, read: Read) -> None:
        """It was read, or cannot be."""
        ref, message = read
        wanted = ref is None or self.reading.pop(ref, True)
        if message.__class__ is DecodeError:
            self.unreadable(message)
        elif wanted:
            handle = HANDLERS.get(message.__class__)
            if handle is not None:
                handle(self, message)
        elif ref is not None:
            self.me.unwatched(ref)

    # calls

    def call(self, call: Call) -> None:
        """Start the process of a call, and hand it the caller's monitor."""
        me = self.me
        ref = call.ref
        producer = None if call.items is None else Producer(call.items, call.window)
        process, _ = me.node.spawn(self.work, (call, producer), me)
        process._watchers = {ref: call.caller}  # nobody else knows it yet
        me.unwatched(ref)
        self.jobs[ref] = process
        if producer is not None:
            self.producers[ref] = producer
        caller = call.caller.node
        if caller != me.node.name:
            entry = self.callers.get(caller) or self.of_node(caller)
            entry[1][ref] = None
        if len(self.jobs) > self.sweep_at:
            self.sweep()

    def cast(self, cast: Cast) -> None:
        """Start the process of a cast."""
        self.me.node.spawn(self.work_unasked, (cast,), self.me)

    def channel(self, to: Ref | None, process: Process) -> Channel | None:
        """Let the current process's output go to a leader."""
        if to is None:
            return None
        if self.captures:
            output.cover()
        else:
            self.captures = True
            output.capture()
        channel = Channel(process, to)
        leader.set(channel)
        return channel

    async def work(self, call: Call, producer: Producer | None) -> None:
        """The whole life of a call's process."""
        me = current.get()
        ref, fn = call.ref, call.fn
        channel = None if call.leader is None else self.channel(call.leader, me)
        answer: Any = None
        kind: Kind = "async"
        try:
            if fn.__class__ is str or fn.__class__ is tuple:
                fn = await found(fn, me.node.code)
            me.extras().label = shown(fn)
            kind = kind_of("remote_call", fn)
            args, kwargs = call.args, call.kwargs
            if has_standins(args, kwargs):
                args, kwargs = await resolved(args, kwargs)
            if producer is not None:
                await produce(producer, kind, fn, args, kwargs)
            elif kind == "async":
                answer = await fn(*args, **kwargs)
            else:
                answer = await plain(kind, fn, args, kwargs)
            if channel is not None and (channel._waits or channel._held or channel.report is not None):
                channel.flush()
            try:
                api.send(ref, answer)
            except EncodeError as error:
                what = f"the value of {me.extras().label}(){error.what.removeprefix('message')}"
                raise EncodeError(what, error.cause) from error.__cause__
            me.unwatched(ref)
        except ProcessExit as left:
            self.answer(me, channel, ref, Left(left.reason, me.pid))
            raise left.with_traceback(None)  # noqa: B904  it has been said, and its frames are not to be kept
        except CancelledError as ended:
            if me.alive:  # by the function's own doing, or asyncio code's: not by an exit signal
                self.answer(me, channel, ref, Left(CANCELLED, me.pid))
            raise ended.with_traceback(None)  # noqa: B904
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if not me.alive:  # an exit signal ends it, whatever its cleanup does: the caller hears of that
                raise error.with_traceback(None)  # noqa: B904
            self.answer(me, channel, ref, Failed(Crash.of(error), me.pid))
            if ends_call_only(error, kind):
                return
            me.extras().quiet = True  # it is raised at the caller, so it is not reported here
            raise error.with_traceback(None)  # noqa: B904
        finally:
            self.done(ref, call.caller.node)
            # The failure has this frame in its traceback, and the process has the failure: they keep no arguments,
            # and the channel has the process.
            me = call = channel = fn = args = kwargs = answer = UNKNOWN

    def answer(self, me: Process, channel: Channel | None, ref: Ref, answer: Any) -> None:
        """The answer of a function that has not returned."""
        if channel is not None:
            channel.flush()
        api.send(ref, answer)
        me.unwatched(ref)

    async def work_unasked(self, cast: Cast) -> None:
        """The whole life of a cast's process. Its failure is reported as any process's is."""
        me = current.get()
        if cast.leader is not None:
            self.channel(cast.leader, me)
        kind: Kind = "async"
        try:
            fn = await found(cast.fn, me.node.code) if isinstance(cast.fn, (str, tuple)) else cast.fn
            me.extras().label = shown(fn)
            kind = kind_of("remote_cast", fn)
            args, kwargs = cast.args, cast.kwargs
            if has_standins(args, kwargs):
                args, kwargs = await resolved(args, kwargs)
            if kind == "async":
                await fn(*args, **kwargs)
            else:
                await plain(kind, fn, args, kwargs)
        except (SystemExit, KeyboardInterrupt) as error:
            if not ends_call_only(error, kind):
                raise
            log.warning("%s was cast, and raised %r", shown(cast.fn), error)

    def done(self, ref: Ref, node: str) -> None:
        """A call has ended."""
        self.jobs.pop(ref, None)
        self.producers.pop(ref, None)
        entry = self.callers.get(node)
        if entry is not None:
            entry[1].pop(ref, None)

    def sweep(self) -> None:
        """Forget the calls whose processes were ended by others before they ran a line."""
        for ref, process in list(self.jobs.items()):
            if process.dead:
                self.done(ref, ref.node)
        self.sweep_at = max(SWEEP, 2 * len(self.jobs))

    # ends

    def cancel(self, cancel: Cancel) -> None:
        """The caller does not wait any more."""
        process = self.jobs.get(cancel.ref)
        if cancel.ref in self.reading:
            self.reading[cancel.ref] = False
        elif process is not None:
            self.done(cancel.ref, cancel.ref.node)  # now: a process that has not begun yet will not say so itself
            self.me.node.route_signal(ExitSignal(self.me.pid, process.pid, SHUTDOWN, False))

    def more(self, more: More) -> None:
        """The reader of a stream has made room."""
        producer = self.producers.get(more.ref)
        if producer is not None:
            producer.more(more.taken)

    def of_node(self, node: str) -> tuple[Ref | None, dict[Ref, None]]:
        """The entry of another node, which is watched from its first call on."""
        calls: dict[Ref, None] = {}
        self.callers[node] = entry = (api.monitor((RPC, node), tag=node), calls)
        return entry

    def down(self, down: Down) -> None:
        """The server of a caller's node has ended, or the node is lost: then its calls are nobody's."""
        _, calls = self.callers.pop(down.tag, (None, None))
        if not calls:
            return
        if isinstance(down.reason, str) and down.reason == NOCONNECTION:
            for ref in list(calls):
                self.cancel(Cancel(ref))
            return
        self.callers[down.tag] = (None, calls)
        delay = WATCH_AGAIN if isinstance(down.reason, str) and down.reason == NOPROC else 0
        api.send_after(delay, self.me.pid, Watch(down.tag))

    def watch(self, watch: Watch) -> None:
        """Its node may be lost later."""
        monitor, calls = self.callers.pop(watch.node, (None, None))
        if calls and monitor is None:
            self.callers[watch.node] = (api.monitor((RPC, watch.node), tag=watch.node), calls)

    # calls that cannot be read

    def unreadable(self, error: DecodeError) -> None:
        """Somebody's call. Which one only his own node can find out."""
        log.debug("%s", error)
        sender = error.sender
        node = getattr(sender, "node", None)
        if node is not None:
            cause = error.__cause__
            api.send(
                (RPC, node), Unreadable(sender, self.me.node.name, cause if isinstance(cause, OF_CODE) else error.cause)
            )

    def ask(self, message: Unreadable) -> None:
        """A process here has called, and its call could not be read there: ask for all of its calls that wait."""
        process = self.me.node.find(message.sender)
        extras = None if process is None else process._extras
        if process is None or extras is None:
            return
        handles: list[Any] = [*(extras.tasks or ()), *(extras.requests or ())]
        for handle in handles:
            if getattr(handle, "callee", None) == message.node:  # a call of rpc.py's, which went before this question
                self.me.node.route_message(process, (RPC, message.node), Ask(handle.ref, message.cause))

    def asked(self, ask: Ask) -> None:
        """A call of which nothing is known here is the one that could not be read."""
        if ask.ref not in self.jobs and ask.ref not in self.reading:
            error = DecodeError(ask.ref.node, ask.cause) if isinstance(ask.cause, str) else ask.cause
            api.send(ask.ref, Failed(Crash.of(error), self.me.pid))


HANDLERS: dict[type, Callable[[Server, Any], None]] = {
    Read: Server.has_read,
    Call: Server.call,
    Cancel: Server.cancel,
    More: Server.more,
    Cast: Server.cast,
    Down: Server.down,
    Watch: Server.watch,
    Unreadable: Server.ask,
    Ask: Server.asked,
}


def ends_call_only(error: BaseException, kind: Kind) -> bool:
    """Whether it ends a called function, not its node: sys.exit(), and in a thread, where no Ctrl-C comes, errors."""
    return isinstance(error, SystemExit) or (isinstance(error, KeyboardInterrupt) and not kind.startswith("async"))


async def plain(kind: Kind, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that is not async, in a thread; what it returns is awaited where it can be."""
    if streams(kind):
        raise TypeError(f"{shown(fn)} is a {kind}: read it with remote_call.stream(node, …)")
    value = await in_thread(fn, args, kwargs)
    return await value if hasattr(value, "__await__") else value
