"""Cells without a kernel: what is taken on any thread, and what of it is shown, in which order and how much."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from beampy import handle
from beampy.core import group_leader
from beampy.notebook import cells, drawing
from beampy.notebook.cells import MESSAGES, RATE, WAITING, Allowance, Cell, current_cell, install, labelled

Sent = tuple[str, Any, Any]


class Publisher:
    """Keeps what goes out."""

    live = True

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.message: dict[str, Any] = {"header": {"msg_id": "1", "msg_type": "execute_request"}}

    def parent(self) -> dict[str, Any]:
        return self.message

    def stream(self, parent: dict[str, Any], number: int, text: str) -> None:
        self.sent.append(("stream", number, text))

    def display(
        self, parent: dict[str, Any], data: dict[str, Any], metadata: dict[str, Any], display_id: str, update: bool
    ) -> None:
        self.sent.append(("update" if update else "display", data, display_id))

    def display_here(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        self.sent.append(("here", data, display_id))


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be done on the display thread."""
    jobs: list[Any] = []
    monkeypatch.setattr(drawing, "soon", jobs.append)
    monkeypatch.setattr(drawing, "after", lambda seconds, fn: jobs.append(fn))
    monkeypatch.setattr(cells, "_together", Allowance(1 << 40))
    return jobs


@pytest.fixture
def out() -> Publisher:
    return Publisher()


@pytest.fixture
def cell(out: Publisher) -> Cell:
    return Cell(out, out.message, 7)


def texts(out: Publisher) -> list[tuple[int, str]]:
    return [(number, text) for kind, number, text in out.sent if kind == "stream"]


def test_it_is_left_at_once_and_shown_by_the_display_thread(posted: list[Any], cell: Cell, out: Publisher):
    cell.text(1, "one\n", "a")
    cell.text(1, "two\n", "a")
    cell.text(2, "bad\n", "b")
    cell.text(1, "three\n", "a")
    assert (out.sent, len(posted)) == ([], 1)
    posted.pop()()
    assert texts(out) == [(1, "[a] one\n[a] two\n"), (2, "[b] bad\n"), (1, "[a] three\n")]
    cell.text(1, "four\n", "a")
    assert len(posted) == 1
    assert repr(cell) == "<Cell 7>"


def test_what_is_over_the_rate_waits_and_nothing_of_it_is_lost(posted: list[Any], cell: Cell, out: Publisher):
    lines = RATE * 2 // 10
    for n in range(lines):
        cell.text(1, f"{n:09d}\n", "")
    cell.show(1000.0)
    first = sum(len(text) for _, text in texts(out))
    assert first == pytest.approx(RATE, abs=100)
    cell.show(1000.5)
    assert sum(len(text) for _, text in texts(out)) == pytest.approx(RATE * 1.5, abs=100)
    cell.show(1002.0)
    assert "".join(text for _, text in texts(out)) == "".join(f"{n:09d}\n" for n in range(lines))


def test_what_cannot_wait_is_counted(posted: list[Any], cell: Cell, out: Publisher):
    for _ in range(WAITING // 1000 + 1):
        cell.text(1, "x" * 999 + "\n", "")
    for _ in range(3):
        cell.text(1, "y" * 999 + "\n", "")
    now = 1000.0
    while cell._items:
        cell.show(now := now + 1)
    assert texts(out)[-1] == (2, "… 3,000 characters left out: more than a cell can show\n")
    assert "y" not in "".join(text for _, text in texts(out))
    cell.text(1, "again\n", "")
    cell.show(now + 1)
    assert texts(out)[-1] == (1, "again\n")


@pytest.mark.parametrize(
    "form", [{"rows": ["x" * 60_000]}, bytearray(60_000), memoryview(bytes(60_000)), "x" * 60_000], ids=type
)
def test_displays_that_wait_are_so_many_bytes_whatever_their_forms(
    form: Any, posted: list[Any], cell: Cell, out: Publisher
):
    for _ in range(cells.DISPLAYS // 60_000 + 10):
        cell.bundle({"application/x": form}, {}, "", None, False)
    kept = [item for item in cell._items if isinstance(item, cells._Bundle)]
    assert cells.DISPLAYS <= 60_000 * len(kept) < cells.DISPLAYS + 60_000


def test_a_cell_shows_so_much_and_not_more(
    posted: list[Any], cell: Cell, out: Publisher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cells, "TOTAL", 100)
    for n in range(10):
        cell.text(1, "x" * 29 + "\n", "")
        cell.show(1000.0 + n)
    assert [text for number, text in texts(out) if number == 1] == ["x" * 29 + "\n"] * 3
    assert [text for number, text in texts(out) if number == 2] == [cells.FULL]


def test_streams_that_take_turns_are_few_messages_at_a_time(posted: list[Any], cell: Cell, out: Publisher):
    for n in range(2 * MESSAGES):
        cell.text(1 + n % 2, f"{n}\n", "")
    cell.show(1000.0)
    assert len(out.sent) == MESSAGES
    cell.show(1000.1)
    assert [text for _, text in texts(out)] == [f"{n}\n" for n in range(2 * MESSAGES)]


def test_displays_keep_their_place_and_their_node(posted: list[Any], cell: Cell, out: Publisher):
    cell.text(1, "before\n", "a")
    cell.bundle({"text/plain": "P\nQ"}, {}, "a", None, False)
    cell.bundle({"text/plain": "F", "image/png": b"\x89PNG"}, {}, "a", "d", False)
    cell.bundle({"text/plain": "F", "image/png": "iVBO"}, {}, "a", "d", True)
    cell.text(1, "after\n", "a")
    cell.show(1000.0)
    assert out.sent == [
        ("stream", 1, "[a] before\n"),
        ("display", {"text/plain": "[a] P\n[a] Q"}, ""),
        ("stream", 1, "[a]\n"),
        ("display", {"text/plain": "[a] F", "image/png": "iVBORw=="}, "d"),
        ("update", {"text/plain": "[a] F", "image/png": "iVBO"}, "d"),
        ("stream", 1, "[a] after\n"),
    ]
    assert "[&lt;a>]" in labelled({"text/html": "<p>"}, "<a>")["text/html"]


def record(level: int = logging.WARNING, name: str = "test.cells", **more: Any) -> logging.LogRecord:
    fields = {"name": name, "levelno": level, "levelname": logging.getLevelName(level), "msg": "100 %s", "args": ()}
    return logging.makeLogRecord(fields | more)


def test_records_are_lines_where_nobody_handles_them(
    posted: list[Any], cell: Cell, out: Publisher, monkeypatch: pytest.MonkeyPatch
):
    logger = logging.getLogger("test.cells")
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.INFO)
    cell.record(record(exc_text="Traceback:\n  here"), "r1")
    cell.record(record(logging.INFO), "r1")
    cell.record(record(logging.DEBUG), "r1")
    cell.show(1000.0)
    assert out.sent == [("stream", 2, "[r1] WARNING test.cells: 100 %s\n[r1] Traceback:\n[r1]   here\n")]


def test_handlers_get_records_in_order_as_code_of_the_cell(
    posted: list[Any], cell: Cell, out: Publisher, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Any] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), [text for _, text in texts(out)], group_leader.screen.get()))

    logger = logging.getLogger("test.cells")
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [Handler()])
    token = group_leader.screen.set(cell)
    cell.context = __import__("contextvars").copy_context()
    group_leader.screen.reset(token)
    cell.text(1, "before\n", "r1")
    cell.record(record(), "r1")
    cell.show(1000.0)
    assert seen == [("[r1] 100 %s", ["[r1] before\n"], cell)]


def test_many_threads_write_and_nothing_is_lost(posted: list[Any], cell: Cell, out: Publisher):
    def write(name: str) -> None:
        for n in range(200):
            cell.text(1, f"{n}\n", name)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        cell.show()
    for thread in threads:
        thread.join()
    cell.show()
    lines = "".join(text for _, text in texts(out)).splitlines()
    assert {name: [line for line in lines if line[1] == name] for name in "abcd"} == {
        name: [f"[{name}] {n}" for n in range(200)] for name in "abcd"
    }


def test_bars_are_a_display_of_their_own(posted: list[Any], cell: Cell, out: Publisher):
    cell.ended = True
    cell.text(2, "\r 10%", "a", ("pool", 1))
    cell.text(2, "\r 20%", "a", ("pool", 2))
    cell.show(1000.0)
    assert out.sent == []
    posted.pop()()
    assert [(kind, data["text/plain"]) for kind, data, _ in out.sent] == [("display", "[a]  10%\n[a]  20%")]
    cell.done(("pool", 1))
    cell.show(1001.0)
    assert len(out.sent) == 1


def test_a_line_without_an_end_is_looked_at_again(
    posted: list[Any], cell: Cell, out: Publisher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cells.time, "monotonic", lambda: now)
    now = 1000.0
    cell.text(1, "...", "a")
    posted.pop()()
    assert (out.sent, len(posted)) == ([], 1)
    now = 1001.0
    posted.pop()()
    assert (texts(out), posted) == ([(1, "[a] ...")], [])


def test_an_ended_cell_is_not_shown_more_often(posted: list[Any], cell: Cell, out: Publisher):
    cell.ended = True
    for n in range(100):
        cell.text(1, f"{n}\n", "a")
        posted.pop(0)() if posted else None
    assert len(out.sent) == 1


def test_code_that_takes_many_values_shows_what_came_before_them_now_and_then(
    posted: list[Any], cell: Cell, out: Publisher
):
    for n in range(1000):
        cell.text(1, f"{n}\n", "a")
        cell.catch_up()
    assert len(out.sent) < 200
    cell.catch_up(at_end=True)
    assert "".join(text for _, text in texts(out)) == "".join(f"[a] {n}\n" for n in range(1000))


def test_an_allowance_is_for_a_second():
    some = Allowance(10)
    assert some.any(100.0)
    some.take(25)
    assert not some.any(101.0)
    assert some.any(102.0)


def test_what_was_in_place_before_is_so_again(monkeypatch: pytest.MonkeyPatch, out: Publisher):
    monkeypatch.setattr(cells, "publisher_of", lambda shell: out)

    def theirs() -> None: ...

    other: Any = object()
    monkeypatch.setattr(handle, "arrived", theirs)
    monkeypatch.setattr(group_leader, "latest_screen", other)
    shell = Shell()
    undo = install(shell)
    assert handle.arrived is not theirs
    undo()
    shell.events.trigger("post_run_cell")
    assert handle.arrived is theirs
    assert group_leader.latest_screen is other


# in a shell


class Events:
    def __init__(self) -> None:
        self.there: dict[str, list[Any]] = {"pre_run_cell": [], "post_run_cell": []}

    def register(self, name: str, fn: Any) -> None:
        self.there[name].append(fn)

    def unregister(self, name: str, fn: Any) -> None:
        self.there[name].remove(fn)

    def trigger(self, name: str) -> None:
        for fn in self.there[name][:]:
            fn(None)


class Shell:
    """As much of IPython's as is asked for, in a terminal."""

    def __init__(self) -> None:
        self.events = Events()
        self.displayhook = type("Hook", (), {"prompt_count": 3})()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, out: Publisher) -> Any:
    monkeypatch.setattr(cells, "publisher_of", lambda shell: out)
    shell = Shell()
    undo = install(shell)
    yield shell
    undo()
    shell.events.trigger("post_run_cell")
    assert group_leader.screen_now() is None
    assert shell.events.there == {"pre_run_cell": [], "post_run_cell": []}


def test_each_execution_has_its_cell(shell: Shell, out: Publisher):
    first = current_cell()
    assert first is not None
    assert (first.number, first.ended) == (3, False)
    shell.events.trigger("post_run_cell")
    assert first.ended
    assert current_cell() is first
    out.message = {"header": {"msg_id": "2"}}
    shell.events.trigger("pre_run_cell")
    second = current_cell()
    assert second is not first
    assert second is not None
    assert second.parent == out.message
    shell.events.trigger("pre_run_cell")  # get_ipython().run_cell(…)
    assert current_cell() is second
    shell.events.trigger("post_run_cell")
    assert not second.ended
    shell.events.trigger("post_run_cell")
    assert second.ended


def test_a_thread_without_a_context_has_the_cell_that_runs(shell: Shell):
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(current_cell()))
    thread.start()
    thread.join()
    assert found == [current_cell()] != [None]


def test_what_came_before_a_value_is_shown_before_it(shell: Shell, out: Publisher, posted: list[Any]):
    from beampy.handle import Known, has_arrived

    cell = current_cell()
    assert cell is not None
    cell.text(1, "first\n", "a")
    has_arrived()
    assert texts(out) == [(1, "[a] first\n")]
    assert Known(1).result() == 1
    cell.text(1, "second\n", "a")
    shell.events.trigger("post_run_cell")
    assert texts(out)[-1] == (1, "[a] second\n")
    cell.text(1, "third\n", "a")
    has_arrived()  # no cell runs here: it is the display thread's
    assert texts(out)[-1] == (1, "[a] second\n")
