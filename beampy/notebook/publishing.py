"""Publishing: how output gets to whoever looks at a notebook, and to which cell.

Rule: in a kernel it is a message of Jupyter's protocol whose parent is the execution that it belongs to, sent through
the kernel's own session and socket, which pass it to ipykernel's output thread. What the user's code has printed
before is sent first: ipykernel holds that back for a while. Where the user's code has put another stream in the place
of ipykernel's, as `%%capture` does, text goes to that one. Without a kernel, in IPython's terminal, text is written
to the streams, and of a display its plain text, once it is final.

Place: the display thread calls this, and a cell's own thread for a first display. Nothing here waits, but for
ipykernel's output thread to take what was printed.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from beampy.core import group_leader
from beampy.core.bundles import unpacked
from beampy.core.group_leader import STDERR

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("beampy.notebook")

NAMES = {1: "stdout", 2: "stderr"}


class Publisher(Protocol):
    """What output goes through."""

    live: bool  # whether what is displayed can be changed later

    def parent(self) -> dict[str, Any]:
        """The message that is being executed; {} where there are none."""
        ...

    def stream(self, parent: dict[str, Any], number: int, text: str) -> None:
        """Text on STDOUT or STDERR."""

    def display(
        self, parent: dict[str, Any], data: dict[str, Any], metadata: dict[str, Any], display_id: str, update: bool
    ) -> None:
        """Something rich, or its new form."""

    def display_here(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        """The same for the code that runs on this thread: as its own `display` would."""


def publisher_of(shell: Any) -> Publisher:
    """The way out of a shell: its kernel's, or its terminal."""
    kernel = getattr(shell, "kernel", None)
    session = getattr(kernel, "session", None)
    if getattr(session, "pid", os.getpid()) != os.getpid():  # forked before this was loaded: it is no kernel
        return Terminal()
    if session is not None and getattr(kernel, "iopub_socket", None) is not None:
        return Jupyter(shell, kernel)
    return Terminal()


class Jupyter:
    """Messages of a kernel."""

    live = True

    def __init__(self, shell: Any, kernel: Any) -> None:
        self._shell = shell
        self._kernel = kernel

    def parent(self) -> dict[str, Any]:
        """The execute_request."""
        found: dict[str, Any] = self._shell.get_parent() or {}
        return found

    def stream(self, parent: dict[str, Any], number: int, text: str) -> None:
        """One message `stream`, or what stands in the place of the kernel's stream."""
        instead = below(sys.stdout if number == 1 else sys.stderr)
        if not hasattr(instead, "pub_thread"):
            if instead is not None:
                written(instead, text)
            return
        self._send("stream", {"name": NAMES[number], "text": text}, parent, f"stream.{NAMES[number]}".encode())

    def display(
        self, parent: dict[str, Any], data: dict[str, Any], metadata: dict[str, Any], display_id: str, update: bool
    ) -> None:
        """One message `display_data` or `update_display_data`."""
        content = {"data": sendable(data), "metadata": metadata, "transient": {"display_id": display_id}}
        self._send("update_display_data" if update else "display_data", content, parent, b"display_data")

    def display_here(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        """Through IPython's own publisher, so that `%%capture` and output widgets get it."""
        self._shell.display_pub.publish(sendable(data), metadata, transient={"display_id": display_id})

    def _send(self, kind: str, content: dict[str, Any], parent: dict[str, Any], topic: bytes) -> None:
        flush_printed()
        self._kernel.session.send(self._kernel.iopub_socket, kind, content, parent=parent, ident=topic)


class Terminal:
    """The streams, as they are at that moment."""

    live = False

    def parent(self) -> dict[str, Any]:
        """There are no messages."""
        return {}

    def stream(self, parent: dict[str, Any], number: int, text: str) -> None:
        """Written to `sys.stdout` or `sys.stderr`."""
        stream = sys.stdout if number == 1 else sys.stderr
        written(stream, text)
        stream.flush()

    def display(
        self, parent: dict[str, Any], data: dict[str, Any], metadata: dict[str, Any], display_id: str, update: bool
    ) -> None:
        """Its plain text."""
        self.stream(parent, 1, f"{data.get('text/plain', '')}\n")

    def display_here(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        """Its plain text."""
        self.display({}, data, metadata, display_id, False)


def flush_printed() -> None:
    """What was printed so far goes first."""
    for stream in (below(sys.stdout), below(sys.stderr)):
        if getattr(stream, "pub_thread", None) is not None and any_waits(stream):
            try:
                stream.flush()
            except Exception as error:
                log.debug("a stream could not be flushed: %s", error)


def below(stream: Any) -> Any:
    """A stream without what beampy has put over it."""
    return getattr(stream, "_below", stream)


def written(stream: Any, text: str) -> None:
    """Write to a stream, whatever its encoding."""
    try:
        stream.write(text)
    except UnicodeEncodeError:  # better with question marks than not at all
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))


class LastResort(logging.StreamHandler[Any]):
    """What logging does where nobody has set it up: a line of stderr. Other threads than those of cells do not wait.

    logging's own waits until ipykernel has sent the line, and the thread of a node has better things to do.
    """

    def __init__(self, waits: Callable[[], bool]) -> None:
        self._waits = waits
        logging.Handler.__init__(self, logging.WARNING)

    @property
    def stream(self) -> Any:
        """As it is at that moment."""
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """What beampy says by itself is not the first cell's, which its node has the context of: it is said now."""
        screen = group_leader.latest_screen
        if screen is None or self._waits() or not record.name.startswith("beampy"):
            super().emit(record)
            return
        try:
            screen.text(STDERR, f"{self.format(record)}\n", "")
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Only where it may take a while."""
        if self._waits():
            super().flush()


def any_waits(stream: Any) -> bool:
    """Whether ipykernel's stream holds text back; True where it does not say."""
    return bool(getattr(stream, "_flush_pending", True))


def sendable(data: dict[str, Any]) -> dict[str, Any]:
    """The forms of a display as Jupyter's messages have them: pictures in base64."""
    return {kind: unpacked(kind, form) for kind, form in data.items()}
