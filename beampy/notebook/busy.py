"""While a cell runs: completion, hover and our own widgets' messages are answered, and do not wait for its end.

Rule: ipykernel 7 takes requests on a thread of its own, and hands them to the main thread, where they wait while a cell
runs. Meanwhile those that only look (`complete_request`, `inspect_request`) and messages for our own widgets (a Cancel
button) are answered by a worker here, with the same methods of the kernel and with busy and idle around them, which
frontends wait for. Everything else takes its usual way, and everything does when no cell runs. Requests wait in a queue
of limited length; what does not fit takes the usual way too.

A page that shows a card says so once a second. Of such messages a frontend waits for nothing but `idle`, by which it
forgets them; and each status is the kernel's light, whatever it is the status of. So there is no `busy` for them, and
`idle` comes when the cell ends, or for OWED of them at once.

This leans on names of ipykernel that are not public. Where one is missing (ipykernel 6, or a later one) nothing is put
in place, and the kernel is as it was; a test says so.
"""

from __future__ import annotations

import inspect
import logging
import queue
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

log = logging.getLogger("beampy.notebook")

BEGINS: Final = 1.0  # seconds in which a cell that was sent counts as running: the main thread takes it when it can
OWED: Final = 100  # messages of widgets that a frontend keeps until `idle`: some 100 kB, and minutes of one card
WAITING: Final = 100  # requests in the queue: who types fast sends ten a second
PRIVATE: Final = ("_main_asyncio_lock", "shell_channel_thread_main", "_publish_status", "shell_channel_thread")
LOOKS: Final = {"complete_request": "complete_reply", "inspect_request": "inspect_reply"}


def install(shell: Any) -> Callable[[], object]:
    """Answer while cells run, where this ipykernel allows it."""
    kernel = getattr(shell, "kernel", None)
    if not able(kernel):
        return lambda: None
    beside = Beside(kernel)
    beside.begin()
    shell.events.register("post_run_cell", beside.cell_ended)

    def undo() -> None:
        shell.events.unregister("post_run_cell", beside.cell_ended)
        beside.end()

    return undo


def able(kernel: Any) -> bool:
    """Whether this is a kernel whose requests can be answered beside its cells."""
    if kernel is None or any(getattr(kernel, name, None) is None for name in PRIVATE):
        return False
    channel = kernel.shell_channel_thread
    return (
        hasattr(kernel._main_asyncio_lock, "locked")
        and getattr(channel, "io_loop", None) is not None
        and hasattr(getattr(kernel, "shell_stream", None), "on_recv")
        and inspect.iscoroutinefunction(kernel.shell_channel_thread_main)
    )


class Beside:
    """What takes requests off a kernel's shell channel, and the worker that answers them."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.session = kernel.session
        self.loop = kernel.shell_channel_thread.io_loop
        self.usual = kernel.shell_channel_thread_main
        self._cell_sent = float("-inf")
        self._requests: queue.Queue[tuple[list[bytes], dict[str, Any]] | None] = queue.Queue(WAITING)
        self._worker: threading.Thread | None = None
        self._owed: deque[dict[str, Any]] = deque()  # messages whose `idle` has not been published

    def begin(self) -> None:
        """Take requests from now on."""
        self._receive(self._take)

    def end(self) -> None:
        """The kernel's own way again. Those that wait are answered still."""
        self._receive(self.usual)
        if self._worker is not None:
            self._requests.put(None)

    def _receive(self, fn: Any) -> None:
        stream = self.kernel.shell_stream
        self.loop.add_callback(lambda: None if stream.closed() else stream.on_recv(fn, copy=False))

    # on the thread of the shell channel

    async def _take(self, message: Any) -> None:
        if not self._is_ours(message):
            await self.usual(message)

    def _is_ours(self, message: Any) -> bool:
        """Whether the worker has it now."""
        try:
            idents, frames = self.session.feed_identities(message, copy=False)
            peeked = self.session.deserialize(frames, content=False, copy=False)
            header = peeked["header"]
            kind = header["msg_type"]
            now = time.monotonic()
            if kind == "execute_request":
                self._cell_sent = now
            if not self.kernel._main_asyncio_lock.locked() and now - self._cell_sent > BEGINS:
                return False
            if self._requests.full():
                return False
            if kind in LOOKS:
                if header.get("subshell_id") is not None:
                    return False  # it has a thread of its own
            elif not (kind == "comm_msg" and self._is_our_comm(peeked)):  # these wait for the cell in a subshell, too
                return False
            request = self.session.deserialize(frames, copy=False)
        except Exception:  # what is wrong with it is said by the usual way
            return False
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, daemon=True, name="beampy-beside")
            self._worker.start()
        self._requests.put_nowait((idents, request))
        return True

    def _is_our_comm(self, peeked: dict[str, Any]) -> bool:
        content = peeked["content"]
        found = content if isinstance(content, dict) else self.session.unpack(content)
        return found.get("comm_id") in our_comms()

    # the worker

    def _work(self) -> None:
        while (asked := self._requests.get()) is not None:
            idents, request = asked
            try:
                self._answer(idents, request)
            except Exception:
                log.exception("a request could not be answered beside the cell that runs")

    def _answer(self, idents: list[bytes], request: dict[str, Any]) -> None:
        kernel = self.kernel
        kind = request["header"]["msg_type"]
        if is_custom(request):
            self._owed.append({"header": request["header"]})
            self._heard(request)
            if len(self._owed) >= OWED or not kernel._main_asyncio_lock.locked():
                self._idle()
            return
        kernel._publish_status("busy", "shell", parent=request)
        try:
            if kind == "comm_msg":
                self._heard(request)
            else:
                self._reply(idents, request, LOOKS[kind], self._looked(kind, request["content"]))
        finally:
            self._owed.append({"header": request["header"]})
            self._idle()

    def _heard(self, request: dict[str, Any]) -> None:
        comm = self.kernel.comm_manager.get_comm(request["content"]["comm_id"])
        if comm is not None:
            comm.handle_msg(request)

    # on any thread

    def cell_ended(self, _: object = None) -> None:
        """What is owed is paid before the kernel says itself that it is idle."""
        if self._owed:
            self._idle()

    def _idle(self) -> None:
        """A frontend has its answer when it has the reply and `idle`; and the kernel is busy as it was."""
        kernel = self.kernel
        running = kernel.get_parent("shell")
        while True:
            try:
                request = self._owed.popleft()
            except IndexError:
                break
            kernel._publish_status("idle", "shell", parent=request)
        if running and kernel._main_asyncio_lock.locked():
            kernel._publish_status("busy", "shell", parent=running)

    # the worker

    def _looked(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        try:
            if kind == "complete_request":
                found = self.kernel.do_complete(content["code"], content["cursor_pos"])
            else:
                omit = set(content.get("omit_sections", ()))
                found = self.kernel.do_inspect(
                    content["code"], content["cursor_pos"], content.get("detail_level", 0), omit
                )
            if inspect.isawaitable(found):  # a kernel that is none of IPython's
                if inspect.iscoroutine(found):
                    found.close()
                raise TypeError(f"the answer to {kind} is to be awaited")
            answer: dict[str, Any] = found
            return answer
        except Exception as error:
            return {"status": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": []}

    def _reply(self, idents: list[bytes], request: dict[str, Any], kind: str, content: dict[str, Any]) -> None:
        message = self.session.msg(kind, content, parent=request)
        frames = [*idents, *self.session.serialize(message)]
        stream = self.kernel.shell_stream  # it belongs to the thread of the channel
        self.loop.add_callback(lambda: None if stream.closed() else stream.send_multipart(frames))


def is_custom(request: dict[str, Any]) -> bool:
    """Whether it is a message of a widget that is no change of its state: after those ipywidgets waits for `idle`."""
    data = request["content"].get("data")
    return request["header"]["msg_type"] == "comm_msg" and isinstance(data, dict) and data.get("method") == "custom"


def our_comms() -> Collection[str]:
    """The comms of our own widgets: what they are sent is handled beside cells."""
    widget: Any = sys.modules.get("beampy.notebook.widget")
    found: Collection[str] = () if widget is None else widget.our_comms()
    return found
