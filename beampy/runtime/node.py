"""A Node put together: the processes of one node, and its connections to others."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from beampy import api
from beampy.core.current import current, remove_fallback
from beampy.core.ending import exit_in, outcome
from beampy.core.extras import UNSET
from beampy.core.functions import describe
from beampy.core.guest import Guest
from beampy.core.ids import Pid, Ref, node_name
from beampy.core.mailbox import ClosedMailbox
from beampy.core.node import EXIT_GRACE, LocalNode, Tracer
from beampy.core.signals import Crash
from beampy.errors import BeampyError, Exited, NotInNode
from beampy.handle import Handle, Pending, ThreadHandle
from beampy.otp.global_names_keeper import start_global_names
from beampy.otp.groups_scope import start_groups
from beampy.otp.rpc_server import start_rpc

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from contextvars import Token
    from types import TracebackType

    from beampy.core.process import Process
    from beampy.dist.cookie import Cookies
    from beampy.dist.peers import Peers
    from beampy.runtime.code import CodeService
    from beampy.runtime.references import References

T = TypeVar("T")

log = logging.getLogger("beampy.node")

SHUTDOWN_TIMEOUT = 10.0  # seconds for everything to end; two of a worker's shutdown times


class Node:
    """A node: named, with processes of its own. Use it as `async with`, or let `run` and `start` make it.

    `name` is `name@host` (a bare name lives on localhost); without one the node is alone for good.
    `exit_grace`: seconds a process may clean up after an exit signal before it is killed.
    `shutdown_timeout`: seconds everything has to end when the node stops.
    `strict`: every message is copied by pickling, as if its receiver were elsewhere, so that aliasing and
    messages that could not travel show on one node already (EncodeError). Slower: for tests and development.
    `max_mailbox`: a limit for the mailbox of every process, see `spawn`.

    How a node with a name meets others:
    `cookie`: the secret that all nodes of a cluster share; by default BEAMPY_COOKIE, else ~/.beampy.cookie, which is
    made when it is missing. Whoever has it can run code on the node.
    `bind`, `port`: where it listens for TCP: loopback, any port. Other addresses speak TLS (`tls=False`: not; True:
    everywhere; bp.TlsFiles: with certificates that both sides verify). `unix`: also listen on a unix socket, for nodes
    of this host; to these large buffers (arrays of 1 MiB and more) go through `shared_memory`. `listen=False`: not at
    all; the node then only connects, and is hidden.
    `pipe`: two file descriptors, to read and to write, mostly (0, 1): the node is connected over these by who started
    its process (`attach_pipe`), does not listen unless told to, and what is printed goes to stderr. When the pipe ends,
    nobody can reach a node that does not listen: `bp.run` then ends, as after SIGTERM.
    `hidden`: not in `nodes()` of others, and not in the mesh. `mesh`: connect with all whom our peers are connected to.
    `allowed`: the names of the only nodes that may connect. `auto_connect`: "always", "once" or "never", on first use.
    `discovery`: how names become addresses; by default the name service (EPMD) on each node's host.
    `tick_time`: seconds of silence after which a node counts as lost. `setup_timeout`: seconds to connect.
    `max_message`: bytes of the largest message that others may send us.
    `busy_wait`: look for answers up to 50 µs longer before sleeping, for short calls between processors.

    What it does about code that others have and it has not:
    `accept_code`: whether functions, classes and modules of others run here; False: they must be installed
    (CodeRefused); None: it sends none either, and functions go by their names, as for a visitor that stays a moment.
    `packages`: what happens to installed packages that are missing here: "pure" loads them from the node that has them,
    as far as they are Python; "install" installs them into a cached environment of their own; "off": MissingPackage.

    >>> async with bp.Node("app@127.0.0.1") as node:
    ...     pid, ref = bp.spawn_monitor(worker, 1)
    ...     down = await bp.receive(bp.Down)
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        exit_grace: float = EXIT_GRACE,
        shutdown_timeout: float = SHUTDOWN_TIMEOUT,
        strict: bool = False,
        max_mailbox: int | tuple[int, int] | None = None,
        cookie: str | bytes | None = None,
        hidden: bool = False,
        bind: str = "127.0.0.1",
        port: int = 0,
        listen: bool | None = None,
        pipe: tuple[int, int] | None = None,
        unix: bool = True,
        shared_memory: bool = True,
        busy_wait: bool = False,
        tls: Any = None,
        discovery: Any = None,
        allowed: Iterable[str] | None = None,
        mesh: bool = True,
        auto_connect: Literal["always", "once", "never"] = "always",
        tick_time: float = 60.0,
        setup_timeout: float = 7.0,
        max_message: int | None = None,
        accept_code: bool | None = True,
        packages: Literal["off", "pure", "install"] = "pure",
    ) -> None:
        self.name = node_name(name)
        self._cookie = cookie
        self._pipe = pipe
        self._net: dict[str, Any] | None = None
        if name is not None:
            self._net = {
                "hidden": hidden,
                "bind": bind,
                "port": port,
                "listen": pipe is None if listen is None else listen,
                "unix": unix,
                "shared_memory": shared_memory,
                "busy_wait": busy_wait,
                "tls": tls,
                "discovery": discovery,
                "allowed": None if allowed is None else frozenset(allowed),
                "mesh": mesh,
                "auto_connect": auto_connect,
                "tick_time": tick_time,
                "setup_timeout": setup_timeout,
            }
            if max_message is not None:
                self._net["max_message"] = max_message
        self._accept_code = accept_code
        self._packages: Literal["off", "pure", "install"] = packages
        self._peers: Peers | None = None
        self._references: References | None = None
        self._code: CodeService | None = None
        self._opening: asyncio.Lock | None = None  # while it learns to meet others, late
        self._cut_off: asyncio.Future[None] | None = None  # done when the only way to other nodes is gone
        self._exit_grace = exit_grace
        self._shutdown_timeout = shutdown_timeout
        self._strict = strict
        self._max_mailbox = max_mailbox
        self._local: LocalNode | None = None
        self._outside: Guest | None = None
        self._body: tuple[Guest, Token[Process]] | None = None
        self._thread: threading.Thread | None = None
        self._stop_asked: asyncio.Event | None = None
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()  # of the thread

    # life

    def _open(self) -> None:
        """Start on the running loop."""
        if self._local is not None:
            raise BeampyError(f"{self.name} has been started before; make a new Node")
        loop = asyncio.get_running_loop()
        limit = self._max_mailbox
        self._local = node = LocalNode(
            self.name,
            secrets.randbelow(2**32 - 4) + 4,  # as in OTP, 0 to 3 are never used
            loop,
            exit_grace=self._exit_grace,
            max_mailbox=(limit, 0) if isinstance(limit, int) else limit,
        )
        node.owner = self
        if self._strict:
            from beampy.runtime.strict import Copier

            node.be_strict(Copier(node))
        self._outside = Guest(node, node.new_pid(), None, "outside of any process")
        self._outside.extras().trap_exit = True
        self._outside._mailbox = ClosedMailbox()  # nobody receives for it: the ends of what scripts link go nowhere
        node.voice = self._outside

    async def _join(self) -> None:
        """Meet other nodes, if it has a name for that; and serve calls. When that fails the node ends."""
        try:
            if self._net is not None:
                await self._meet(self._net)
                if self._pipe is not None and self._peers is not None:
                    from beampy.dist.pipe import attach, take_over

                    attached = await attach(self._peers, *take_over(*self._pipe))
                    if not self._net["listen"]:
                        self._cut_off = attached.ended
        except BaseException:
            await self._close()
            raise

    async def _meet(self, options: dict[str, Any]) -> Peers:
        """Become one of many."""
        # Only nodes that meet others need what this imports.
        import beampy.runtime.records  # noqa: F401
        from beampy.dist.join import join
        from beampy.runtime.references import References

        node = self._core
        start_rpc(node)
        if self._accept_code is not None:
            from beampy.runtime.code import CodeService

            self._code = CodeService(node, accept=self._accept_code, packages=self._packages)
            options = options | await self._code.look()
        self._references = references = References(node)
        options = options | {"references": references, "introduce": references.introduced}
        self._peers = await join(node, self._cookie, options)
        if self._code is not None:
            self._code.connect(self._peers)
        start_groups(node)
        start_global_names(node)
        return self._peers

    async def _open_up(self) -> Peers:
        """Where nodes that this one starts itself can reach it, also when it has no name or does not listen.

        A node without a name is then reached under Erlang's name for such a node, by those who were told where it is.
        """
        from beampy.dist.discovery import StaticDiscovery

        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._peers is None:
                self._cookie = secrets.token_urlsafe(32)  # nobody is told: who may connect has a cookie of his own
                private = {"hidden": True, "mesh": False, "discovery": StaticDiscovery({})}
                await self._meet(private)
            assert self._peers is not None
            await self._peers.listeners.open()
            return self._peers

    async def _close(self) -> None:
        """The orderly end."""
        node, outside = self._local, self._outside
        if node is None or outside is None or node.closed:
            return
        remove_fallback(outside)
        if self._body is not None and current.get(None) is self._body[0]:
            self._body[0].leave()  # the body itself asks for the end: it does not end the body
        outside.leave("shutdown")
        await node.shut_down("shutdown", self._shutdown_timeout)
        if self._peers is not None:
            await self._peers.stop()
        if self._references is not None:
            self._references.close()
        if node.references is not None:
            node.references.close()
        if self._code is not None:
            await self._code.close()

    async def __aenter__(self) -> Node:
        self._open()
        await self._join()
        node = self._core
        task = asyncio.current_task()
        assert task is not None
        guest = Guest(node, node.new_pid(), task, f"the body of {self!r}")
        self._body = (guest, current.set(guest))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        assert self._body is not None
        guest, token = self._body
        current.reset(token)
        exiting = guest._extras.exiting if guest._extras is not None else UNSET
        left = exit_in(error) if error is not None else None
        if error is None or isinstance(error, asyncio.CancelledError):
            guest.leave("normal" if error is None else "shutdown")
        else:
            guest.leave(Crash.of(error) if left is None else left.reason)
        await self._close()
        if exiting is not UNSET and isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            raise Exited(guest.pid, exiting) from None
        if left is not None:
            if not (isinstance(left.reason, str) and left.reason in ("normal", "shutdown")):
                raise Exited(guest.pid, left.reason) from None
            return True
        return None

    # use

    @property
    def _core(self) -> LocalNode:
        if self._local is None or self._local.closed:
            raise NotInNode(f"{self!r}")
        return self._local

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that runs it."""
        return self._core.loop

    @overload
    def spawn(self, fn: api.Fn, /, *args: Any, name: str | None = ..., monitor: Literal[False] = ...) -> Pid: ...
    @overload
    def spawn(self, fn: api.Fn, /, *args: Any, name: str | None = ..., monitor: Literal[True]) -> tuple[Pid, Ref]: ...
    def spawn(self, fn: api.Fn, /, *args: Any, name: str | None = None, monitor: bool = False) -> Pid | tuple[Pid, Ref]:
        """`bp.spawn` on this node, from code of any kind and on any thread."""
        voice = self._voice()
        with _speaking(voice):
            if monitor:
                return api.spawn(fn, *args, name=name, monitor=True)
            return api.spawn(fn, *args, name=name)

    def run(self, fn: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> Handle[T]:
        """Run `fn(*args)` as a process of this node. Its value; its exception is raised here.

        Exited is raised when it ended by an exit signal. Cancelling the handle ends the process.
        """
        node = self._core
        if node.thread == threading.get_ident():
            return Pending(self._run(fn, args))
        return api.submit(self._voice(), lambda: fn(*args), describe(fn))

    async def _run(self, fn: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]) -> T:
        node = self._core
        process, _ = node.spawn(fn, args, self._voice())
        process.extras().quiet = True  # its failure is raised here, so it is not logged as well
        ended: asyncio.Future[None] = node.loop.create_future()
        process.add_done_callback(lambda _: None if ended.done() else ended.set_result(None))
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            if process.alive:
                process.begin_exit("shutdown")
            await ended
            raise
        value: T = outcome(process)
        return value

    def attach_pipe(
        self, read_end: Any, write_end: Any, name: str | None = None, *, timeout: float = 60.0
    ) -> Handle[str]:
        """Connect with a node over two byte pipes, such as the stdout and stdin of its process. The node's name.

        The ends are file descriptors or what has `fileno()` and `close()`; the node owns them from here on, and closes
        them when the connection ends. `name` is the node at the other end, which was started with `pipe=(0, 1)` and
        within `timeout` seconds; without a name, we wait for whoever proves our cookie. NotConnected says what went
        wrong. When the pipe breaks that is the loss of a connection like any other.

        >>> process = subprocess.Popen(["ssh", "box", "python", "-m", "app"], stdin=PIPE, stdout=PIPE, bufsize=0)
        >>> await node.attach_pipe(process.stdout, process.stdin, "app@box")
        'app@box'
        """
        node = self._core
        if node.thread == threading.get_ident():
            return Pending(self._attach_pipe(read_end, write_end, name, timeout))
        return api.submit(self._voice(), lambda: self._attach_pipe(read_end, write_end, name, timeout), "attach_pipe")

    async def _attach_pipe(self, read_end: Any, write_end: Any, name: str | None, timeout: float) -> str:
        from beampy.dist.pipe import attach

        if self._peers is None:
            raise BeampyError(f"{self!r} is alone: give it a name, so that it can meet other nodes")
        attached = await attach(
            self._peers, read_end, write_end, None if name is None else node_name(name), timeout=timeout
        )
        return attached.node

    def _voice(self) -> Process:
        node = self._core
        process = current.get(None)
        if process is not None and process.node is node and not process.dead:
            return process
        assert self._outside is not None
        return self._outside

    def trace(self, tracer: Tracer | None) -> None:
        """Call `tracer(event, pid, detail)` for each spawn, send, exit and long_mailbox of this node; None ends it."""
        node = self._core
        if node.thread == threading.get_ident():
            node.trace(tracer)
        else:
            node.loop.call_soon_threadsafe(node.trace, tracer)

    def connections(self) -> list[dict[str, Any]]:
        """Each connected node: `node`, `hidden`, `carrier` ("unix", "tcp 10.0.0.2:4711", "tls …", "pipe"), `queued`
        (bytes that wait to be sent) and `stalled` (nothing has come from it for longer than its ticks take)."""
        self._core  # noqa: B018  -- NotInNode
        return [] if self._peers is None else self._peers.info()

    @property
    def cookies(self) -> Cookies:
        """The secrets it proves and accepts, to change them while it runs. NotInNode on a node without a name.

        `rotate(new)` on every node, and when all have it `forget_old()` on every node: no connection is lost, and nodes
        that have the new one, the old one or both connect alike in between. `set_for(name, cookie)`: another one for
        a single node. Each of these takes 0.2 s for a cookie of less than 128 bits, and holds up the loop meanwhile.

        >>> node.cookies.rotate("Qh8sT1zFvE5oGx6uPy4iWj")
        """
        if self._core is None or self._peers is None:
            raise NotInNode("cookies: this node has no name, so it meets no others and has no cookies")
        return self._peers.options.cookies

    def statistics(self) -> dict[str, int]:
        """Counts of processes, steps, ticks, timers, names and zombies."""
        return self._core.statistics()

    def stop(self) -> Handle[None]:
        """End the node in order: see the module. Stopping it again waits for the same end.

        A node of `start` also ends its thread.
        """
        if self._thread is None:
            return Pending(self._close())
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended.add_done_callback(lambda _: done.set_result(None) if done.set_running_or_notify_cancel() else None)
        self._ask_to_stop()
        return ThreadHandle(self._core_loop(), done, lambda: None, f"the stop of {self.name}")

    def _ask_to_stop(self) -> None:
        asked = self._stop_asked
        if asked is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
                self._core_loop().call_soon_threadsafe(asked.set)

    def _core_loop(self) -> asyncio.AbstractEventLoop:
        assert self._local is not None
        return self._local.loop

    def __enter__(self) -> Node:
        if self._thread is None:
            raise BeampyError("use `async with bp.Node(name)`, or `with bp.start(name)`")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop().result()

    def __repr__(self) -> str:
        state = "new" if self._local is None else "stopped" if self._local.closed else "running"
        return f"<Node {self.name} {state}>"


@contextlib.contextmanager
def _speaking(voice: Process) -> Iterator[None]:
    token = current.set(voice)
    try:
        yield
    finally:
        current.reset(token)
