"""Errors in a cell: one clear line where it is the cluster, or how it was used, that is at fault.

    await bp.remote_call("b@box", area, 2)
    NodeDown: no connection to b@box: the cookies differ: …   (%tb shows all of it)

Rule: an error of beampy's own that beampy has raised says what is wrong and what to do; a page of beampy's insides
under it helps nobody. So it is one line, with the line of the cell that it came from, and `%tb` shows the rest. A cell
that was interrupted while it waited for beampy says so in one line, too. What user code has raised is shown with its
traceback: where that was on another node, the text of that one and the cell, without beampy's insides in between. A
broken invariant of ours is shown whole. The reply that a frontend gets is as ever: name, text and traceback.

A failed attempt to connect, or a runner that is lost, is logged by the node, too, and most often somebody waits for it
and is told: so such a line is held back for a moment, and dropped when the cell says the same.

Place: around `shell.showtraceback`, which is called for cells and by `%tb`. The decisions are pure functions of an
exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sys
import sysconfig
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from beampy.core.current import fallback
from beampy.errors import BeampyError, InternalError, NodeDown, NotConnected, RemoteError, RemoteTraceback, RunnerLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

HERE = f"{Path(__file__).resolve().parents[1]}/"  # beampy's own files
STDLIB = f"{sysconfig.get_path('stdlib')}/"
HINT = "%tb shows all of it"
MOST = 1000  # characters of the line; a name or a value in an error may be of any length
HOLD = 0.5  # seconds that what is logged has to reach the cell as an error: ten times what it takes
MOST_HELD = 100  # such lines; more at once are logged as they come

LOGGERS = ("beampy.dist", "beampy.pool")  # which log them

# Of the text of a traceback; in those of groups there are bars before each line.
HEAD = re.compile(r"^(?=[ |+]*(?:Exception Group )?Traceback \(most recent call last\):$)", re.MULTILINE)
FRAME = re.compile(r'^(?=[ |]+File ")', re.MULTILINE)
MACHINERY = re.compile(r'[ |]+File "[^"]*[/\\]beampy[/\\](core|otp|pool|refs|api)[/\\]')  # a frame of that of calls

RED, DIM, END = "\x1b[31m", "\x1b[2m", "\x1b[0m"  # the colours of frontends' own themes


def install(shell: Any) -> Callable[[], object]:
    """Show such errors in one line from now on."""
    before = shell.showtraceback
    if not hasattr(shell, "_last_traceback"):
        shell._last_traceback = None  # without it a kernel whose first traceback cannot be formatted does not reply
    held = Held()
    held.put_in_place()

    def showtraceback(
        exc_tuple: Any = None,
        filename: Any = None,
        tb_offset: Any = None,
        exception_only: bool = False,
        running_compiled_code: bool = False,
    ) -> None:
        whole = None
        if running_compiled_code and not exception_only:  # a cell has failed: %tb and others call it without
            kind, error, tb = sys.exc_info() if exc_tuple is None else exc_tuple
            line = None if error is None else in_one_line(error, tb, shell.user_ns)
            if line is not None and str(getattr(shell, "colors", "")).lower() == "nocolor":
                line = line.replace(RED, "").replace(DIM, "").replace(END, "")
            if line is not None:
                shell._get_exc_info((kind, error, tb))  # what %tb shows
                shell._showtraceback(kind, error, [line])
                held.drop(line)
                return
            if error is not None:
                held.drop(first_line(error))
                if isinstance(error, BaseExceptionGroup) and isinstance(error.__cause__, RemoteTraceback):
                    shell._get_exc_info((kind, error, tb))
                    shell._showtraceback(kind, error, [of_user(error.__cause__.text)])  # IPython only prints these
                    return
                if from_elsewhere(error) or misused(error, tb):
                    whole, exc_tuple = tb, (kind, error, down_to_user(tb))
        with without_machinery(None if whole is None or exc_tuple is None else exc_tuple[1]):
            before(
                exc_tuple=exc_tuple,
                filename=filename,
                tb_offset=tb_offset,
                exception_only=exception_only,
                running_compiled_code=running_compiled_code,
            )
        if whole is not None:
            sys.last_traceback = whole  # what %tb shows

    shell.showtraceback = showtraceback

    def undo() -> None:
        held.take_away()
        if shell.__dict__.get("showtraceback") is showtraceback:
            del shell.showtraceback

    return undo


def in_one_line(error: BaseException, tb: TracebackType | None, names: dict[str, Any]) -> str | None:
    """What stands under the cell; None: IPython's own traceback. `names` are the globals of cells."""
    frames = list(frames_of(tb))
    if interrupted(error, frames):
        text = f"{'interrupted; ' if stopped(error) else ''}what the cell waited for was cancelled"
    elif concerns_cluster(error, frames):
        text = first_line(error)
    else:
        return None
    line = line_of_cell(tb, names)
    where = f" (line {line})" if line else ""
    return f"{RED}{type(error).__name__}{END}{where}: {shortened(text)}   {DIM}({HINT}){END}"


def concerns_cluster(error: BaseException, frames: list[FrameType]) -> bool:
    """Whether beampy itself has raised it here, and it is about the cluster or how it is used."""
    ours = isinstance(error, BeampyError | TimeoutError) and not isinstance(error, InternalError | RemoteError)
    return ours and not from_elsewhere(error) and raised_by_beampy(frames)


def from_elsewhere(error: BaseException) -> bool:
    """Whether a function has raised it, on another node or in another process."""
    return isinstance(error.__cause__, RemoteTraceback)


def down_to_user(tb: TracebackType | None) -> TracebackType | None:
    """A traceback without beampy's frames at its end, and those of the standard library between them."""
    kept: list[TracebackType] = []
    steps: list[TracebackType] = []
    while tb is not None:
        steps.append(tb)
        if not is_ours(tb.tb_frame) and not is_stdlib(tb.tb_frame):
            kept = list(steps)
        tb = tb.tb_next
    shown: TracebackType | None = None
    for step in reversed(kept or steps):
        shown = TracebackType(shown, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return shown


def interrupted(error: BaseException, frames: list[FrameType]) -> bool:
    """Whether the cell was interrupted while it waited for something of beampy's."""
    if not isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return False
    return any(is_ours(frame) for frame in frames)


def stopped(error: BaseException) -> bool:
    """Whether it is the cell that was cancelled, by the stop button, and not only what it waited for."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return isinstance(error, KeyboardInterrupt) or task is None or task.cancelling() > 0


def misused(error: BaseException, tb: TracebackType | None) -> bool:
    """Whether beampy was given what it cannot take: it says which, and its insides say no more."""
    return isinstance(error, TypeError | ValueError | OSError) and raised_by_beampy(list(frames_of(tb)))


@contextlib.contextmanager
def without_machinery(error: BaseException | None) -> Iterator[None]:
    """Meanwhile the traceback of elsewhere, of which `error` has the text, begins with the user's frames."""
    cause = None if error is None else error.__cause__
    if not isinstance(cause, RemoteTraceback):
        yield
        return
    whole = cause.text
    cause.text = of_user(whole)
    try:
        yield
    finally:
        cause.text = whole


def of_user(text: str) -> str:
    """The text of a traceback, and of those chained to it, without the frames of beampy that each begins with.

    >>> of_user('Traceback (most recent call last):\\n  File "/x/beampy/pool/job.py", line 1, in run\\n    f()\\n'
    ...         '  File "a.py", line 2, in f\\nKeyError: 1')
    'Traceback (most recent call last):\\n  File "a.py", line 2, in f\\nKeyError: 1'
    """
    return "".join(_of_user(one) for one in HEAD.split(text))


def _of_user(text: str) -> str:
    head, *frames = FRAME.split(text)
    first = next((at for at, frame in enumerate(frames) if not MACHINERY.match(frame)), 0)
    return "".join([head, *frames[first:]])


def raised_by_beampy(frames: list[FrameType]) -> bool:
    """Whether the innermost frame that is not the standard library's is beampy's."""
    for frame in reversed(frames):
        if not is_stdlib(frame):
            return is_ours(frame)
    return False


def is_stdlib(frame: FrameType) -> bool:
    """Whether it runs code of the standard library."""
    name = frame.f_code.co_filename
    return name.startswith("<frozen") or (name.startswith(STDLIB) and "site-packages" not in name)


def is_ours(frame: FrameType) -> bool:
    """Whether it runs code of beampy's. What dataclasses generate lies in no file."""
    name = frame.f_code.co_filename
    return name.startswith(HERE) or (name == "<string>" and str(frame.f_globals.get("__name__")).startswith("beampy."))


def frames_of(tb: TracebackType | None) -> Iterator[FrameType]:
    """The frames of a traceback, the outermost first."""
    while tb is not None:
        yield tb.tb_frame
        tb = tb.tb_next


def line_of_cell(tb: TracebackType | None, names: dict[str, Any]) -> int | None:
    """The line of the cell where it happened; None where that tells nothing, as in a cell of one line."""
    while tb is not None:
        code = tb.tb_frame.f_code
        if code.co_name in ("<module>", "<cell line: 1>") and tb.tb_frame.f_globals is names:
            last = max((line for *_, line in code.co_lines() if line), default=0)
            return tb.tb_lineno if last > 1 else None
        tb = tb.tb_next
    return None


def first_line(error: BaseException) -> str:
    """Its text up to the first line break; what follows there are logs of machines, and the like."""
    try:
        text = (why_no_connection(error) if isinstance(error, NodeDown) else "") or str(error).strip()
    except Exception as broken:
        text = f"its text cannot be had: {type(broken).__name__}"
    return text.partition("\n")[0].rstrip()


def why_no_connection(error: NodeDown) -> str:
    """What the last attempt to connect with its node came to, which the error of a call does not say. "": unknown."""
    name = node_of(error.target)
    for outside in fallback():
        peers = getattr(outside.node.owner, "_peers", None)
        peer = None if peers is None or name is None else peers.table.get(name)
        if peer is not None and peer.state == "down" and peer.told:
            return str(peer.told)
    return ""


def node_of(target: Any) -> str | None:
    """The node that a call was for: `target` is a pid, what was called there, a (name, node), or a node's name."""
    node = getattr(target, "node", None)
    if node is None and isinstance(target, tuple) and len(target) == 2:
        node = target[1]
    return node if isinstance(node, str) else target if isinstance(target, str) else None


def shortened(text: str) -> str:
    """At most MOST characters."""
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"


class Held(logging.Filter):
    """Lines that a node has logged, on its thread, until the cell has said the same or has not."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, logging.LogRecord] = {}  # by the text of the error

    def put_in_place(self) -> None:
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self)

    def take_away(self) -> None:
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        args = record.args if isinstance(record.args, tuple) else ()
        error = next((each for each in args if isinstance(each, NotConnected | RunnerLost)), None)
        loop = asyncio._get_running_loop()
        if error is None or loop is None or getattr(record, "held", False) or len(self.records) >= MOST_HELD:
            return True
        record.held = True
        text = first_line(error)
        self.records[text] = record
        loop.call_later(HOLD, self.late, text)
        return False

    def late(self, text: str) -> None:
        """Nobody has said it: it is logged."""
        record = self.records.pop(text, None)
        if record is not None:
            logging.getLogger(record.name).handle(record)

    def drop(self, line: str) -> None:
        """A cell shows this."""
        for text in list(self.records):
            if shortened(text) in line:
                self.records.pop(text, None)
