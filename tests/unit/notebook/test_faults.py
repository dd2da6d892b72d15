"""What becomes one line, and what does not: pure functions of an exception."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from beampy.core.ids import Pid
from beampy.errors import (
    BootFailed,
    InternalError,
    NodeDown,
    PoolClosed,
    RemoteError,
    RemoteTraceback,
    RunnerLost,
    UnknownNode,
)
from beampy.notebook import faults
from beampy.otp.rpc_call import Called

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


def caught(fn: Callable[[], Any], name: str) -> tuple[BaseException, TracebackType]:
    """What `fn` raises, called from a cell by code that lies in a file of this name."""
    cell: dict[str, Any] = {"fn": fn}
    inside = compile("def run(fn):\n    return fn()\n", name, "exec")
    exec(inside, cell)
    return raised(lambda: exec(compile("x = 1\nrun(fn)\n", "cell", "exec"), cell))


def raised(fn: Callable[[], Any]) -> tuple[BaseException, TracebackType]:
    """What `fn` raises, and its traceback without that of the lambda."""
    with pytest.raises(BaseException) as caught:
        fn()
    tb = caught.value.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    assert tb is not None
    return caught.value, tb


def raising(error: BaseException, name: str) -> Callable[[], Any]:
    """A function in a file of this name that raises it."""
    made: dict[str, Any] = {"error": error}
    exec(compile("def fail():\n    raise error\n", name, "exec"), made)
    found: Callable[[], Any] = made["fail"]
    return found


OURS = f"{faults.HERE}somewhere.py"
STDLIB = f"{faults.STDLIB}concurrent/futures/_base.py"


def line(error: BaseException, raised_in: str = OURS, through: str = OURS) -> str | None:
    found, tb = caught(raising(error, raised_in), through)
    return faults.in_one_line(found, tb, {})


def test_an_error_of_ours_is_one_line():
    shown = line(PoolClosed("p", "because"))
    assert shown == "\x1b[31mPoolClosed\x1b[0m: pool p: because   \x1b[2m(%tb shows all of it)\x1b[0m"


def test_the_standard_library_in_between_does_not_make_it_somebody_elses():
    assert line(PoolClosed("p", "because"), raised_in=STDLIB) is not None
    assert line(PoolClosed("p", "because"), raised_in="<frozen importlib._bootstrap>") is not None
    assert line(PoolClosed("p", "because"), raised_in=f"{faults.STDLIB}site-packages/other/x.py") is None


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        InternalError("broken"),
        RemoteError("E", "text"),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
    ],
)
def test_others_are_not(error: BaseException):
    assert line(error, raised_in="users.py", through="users.py") is None
    if not isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        assert line(error) is None


def test_what_a_user_raises_is_not_even_if_it_is_an_error_of_ours():
    assert line(PoolClosed("p", "because"), raised_in="users.py") is None


def test_what_a_function_elsewhere_has_raised_is_not():
    error = PoolClosed("p", "because")
    error.__cause__ = RemoteTraceback("Traceback …")
    assert line(error) is None
    assert faults.from_elsewhere(error)


def test_an_interruption_while_beampy_waits_is_one_line():
    for error in (KeyboardInterrupt(), asyncio.CancelledError()):
        shown = line(error)
        assert shown is not None
        assert "interrupted" in shown
        assert line(error, raised_in=STDLIB) is not None


def test_a_timeout_that_beampy_raises_is_one_line():
    assert "not done" in (line(TimeoutError("it is not done")) or "")
    assert line(TimeoutError("it is not done"), raised_in="users.py") is None


def test_the_line_of_the_cell_is_said_where_there_are_several():
    found, tb = caught(raising(PoolClosed("p", "because"), OURS), OURS)
    names = tb.tb_frame.f_globals
    assert "PoolClosed\x1b[0m (line 2): " in (faults.in_one_line(found, tb, names) or "")
    _, tb = raised(lambda: exec(compile("run(fn)", "cell", "exec"), names))
    assert faults.line_of_cell(tb, names) is None


def test_only_the_first_line_of_a_text_and_not_more_than_can_be_read():
    assert "the log" not in (line(BootFailed("p", "no machine", 1, "the log\nof the machine")) or "")
    shown = line(PoolClosed("p", "x" * 5000))
    assert shown is not None
    assert len(shown) < faults.MOST + 100
    assert "…" in shown

    class Mute(PoolClosed):
        def __str__(self) -> str:
            raise ValueError

    assert "cannot be had: ValueError" in (line(Mute("p")) or "")


def test_frames_of_ours_at_the_end_are_left_out_and_users_are_not():
    def user() -> None:
        through: dict[str, Any] = {}
        exec(compile("def go(fn):\n    fn()\n", OURS, "exec"), through)
        through["go"](raising(ValueError("x"), STDLIB))

    try:
        user()
    except ValueError:
        tb = faults.down_to_user(sys.exc_info()[2])
    names = [frame.f_code.co_name for frame in faults.frames_of(tb)]
    assert names[-1] == "user"
    assert "go" not in names


@pytest.mark.parametrize(
    ("target", "node"),
    [
        (Pid("a@h", 1, 2), "a@h"),
        (Called("f", "a@h"), "a@h"),
        (("name", "a@h"), "a@h"),
        ("a@h", "a@h"),
        (7, None),
        (("name", 7), None),
    ],
)
def test_which_node_a_call_was_for(target: Any, node: str | None):
    assert faults.node_of(target) == node


def test_a_node_that_nothing_is_known_of_says_nothing():
    assert faults.why_no_connection(NodeDown("a@h")) == ""


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


async def test_a_line_is_held_until_the_cell_has_said_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faults, "HOLD", 0.05)
    held, heard = faults.Held(), Heard()
    held.put_in_place()
    logger = logging.getLogger("beampy.dist")
    logger.addHandler(heard)
    try:
        logger.warning("%s", UnknownNode("b@h", "nobody answers"))
        logger.warning("pool %s: %s", "p", RunnerLost("r@h", "it has ended"))
        logger.warning("something else")
        assert heard.texts == ["something else"]
        held.drop("NodeDown: no connection to b@h: nobody answers   (%tb)")
        while len(heard.texts) < 2:
            await asyncio.sleep(0.01)
        assert heard.texts == ["something else", "pool p: runner r@h was lost: it has ended"]
        assert held.records == {}
    finally:
        logger.removeHandler(heard)
        held.take_away()
    logger.addHandler(heard)
    logger.warning("%s", UnknownNode("b@h", "nobody answers"))
    logger.removeHandler(heard)
    assert heard.texts[-1] == "no connection to b@h: nobody answers"


async def test_lines_beyond_the_limit_are_logged_as_they_come(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faults, "MOST_HELD", 1)
    held = faults.Held()
    first, second = (
        logging.LogRecord("beampy.dist", logging.WARNING, "", 0, "%s", (UnknownNode(name, "no"),), None)
        for name in ("a@h", "b@h")
    )
    assert not held.filter(first)
    assert held.filter(second)


def test_lines_of_threads_without_a_loop_are_not_held():
    record = logging.LogRecord("beampy.dist", logging.WARNING, "", 0, "%s", (UnknownNode("a@h", "no"),), None)
    assert faults.Held().filter(record)
