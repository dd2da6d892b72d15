"""The text that `beampy` shows: tables, pictures of nodes, statements that are typed or piped."""

from __future__ import annotations

import io
from typing import Any

import pytest

from beampy.cli import ps, table, top, trace
from beampy.cli.history import History
from beampy.cli.statements import Statements, statements

# --- tables


def test_columns_are_aligned_numbers_to_the_right():
    found = table.lines(["NAME", ">N", "LAST"], [["a", 5, None], ["bcd", 12345, "x"]], 80)
    assert found == ["NAME      N  LAST", "a         5", "bcd   12345  x"]


def test_no_line_is_longer_than_the_terminal():
    found = table.lines(["A", "B"], [["x" * 50, "y" * 50]], 30)
    assert [len(line) for line in found] == [30, 30]
    assert found[1].endswith("…")


def test_a_cell_cannot_move_the_cursor():
    assert table.printable("a\x1b[2J\nb") == "a�[2J�b"
    assert table.lines(["A"], [["\x1b]0;title\x07"]], 80)[1].isprintable()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.0K"), (5 * 2**30, "5.0G"), (2**52, "4096.0T"), (None, "?")],
)
def test_size(count: int | None, text: str):
    assert table.size(count) == text


def test_place():
    assert table.place("take (/srv/shop/stock.py:7)") == "take (stock.py:7)"
    assert table.place("outside") == "outside"


def test_a_screen_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    with pytest.raises(ZeroDivisionError), table.Screen() as screen:
        screen.draw(["one", "two"])
        raise ZeroDivisionError
    assert "one\x1b[K\ntwo\x1b[K" in out.getvalue()
    assert out.getvalue().endswith("\x1b[?25h\x1b[?1049l")


# --- pictures


def a_row(**changed: Any) -> dict[str, Any]:
    return {
        "pid": 7,
        "name": None,
        "label": None,
        "initial_call": "shop.worker",
        "current_function": "take (/srv/shop.py:9)",
        "status": "waiting",
        "messages": 3,
        "steps": 1200,
        "steps_per_s": 12.0,
        "memory": 2048,
        "links": ["<Pid a@h 1>"],
    } | changed


def test_ps():
    rows = [a_row(), a_row(pid=8, name="stock", label="x"), a_row(pid=9, label="customer 1")]
    found = ps.picture({"node": "a@h", "processes": 10, "rows": rows}, 200)
    assert found[0] == "a@h: 10 processes"
    assert found[2].split() == ["7", "waiting", "3", "1", "2.0K", "1200", "shop.worker", "take", "(shop.py:9)"]
    assert found[3].split()[:3] == ["8", "stock", "waiting"]
    assert "[customer 1]" in found[4]
    assert found[5] == "… and 7 more (--limit)"


def test_ps_does_not_say_that_the_one_who_looks_is_missing():
    found = ps.picture({"node": "a@h", "processes": 2, "rows": [a_row()]}, 200)
    assert len(found) == 3


@pytest.mark.parametrize(("by", "head"), [("steps", "STEPS/S*"), ("memory", "MEMORY*"), ("messages", "MAILBOX*")])
def test_top_marks_the_column_it_sorts_by(by: str, head: str):
    load = {
        "node": "a@h",
        "os_pid": 42,
        "nodes": ["b@h"],
        "processes": 1000,
        "runnable": 1,
        "names": 2,
        "timers": 3,
        "zombies": 0,
        "steps_per_s": 4321.0,
        "spawned_per_s": 1.0,
        "cpu": 0.5,
        "rss": 3 * 2**20,
        "lag": 0.0012,
        "rows": [a_row()],
    }
    found = top.picture(load, by, 200)
    assert found[0] == "a@h  (OS process 42, connected with b@h)"
    assert "steps/s 4,321" in found[2]
    assert "CPU 50%  memory 3.0M  loop lag 1.2 ms" in found[2]
    assert [word for word in found[4].split() if word.endswith("*")] == [head]
    assert found[5].split()[1:3] == ["shop.worker", "12"]
    assert all(len(line) <= 40 for line in top.picture(load, by, 40))


def test_trace_leaves_out_what_goes_without_saying():
    event = {
        "at": 0.25,
        "event": "send",
        "pid": "<Pid a@h 3>",
        "name": "shop",
        "to": "<Pid b@h 4>",
        "to_name": None,
        "detail": "('hi', <Ref a@h 9>)\x1b",
    }
    assert trace.line(event, "a@h").partition(".")[2] == "250 send  shop <3> → <Pid b@h 4>  ('hi', <Ref 9>)�"
    ends = {**event, "event": "exit", "to": None, "detail": ""}
    assert trace.line(ends, "a@h").endswith("exit  shop <3>")


# --- statements


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1\ny\n", ["x = 1", "y"]),
        ("if x:\n    y()\nz()\n", ["if x:\n    y()", "z()"]),
        ("if x:\n    y()\nelse:\n    z()\nw\n", ["if x:\n    y()\nelse:\n    z()", "w"]),
        ("try:\n  a\nexcept E:\n  b\nfinally:\n  c\nd", ["try:\n  a\nexcept E:\n  b\nfinally:\n  c", "d"]),
        ("class A:\n    x = 1\n\n    y = 2\nA\n", ["class A:\n    x = 1\n\n    y = 2", "A"]),
        ("@dec\ndef f():\n  pass\nf()", ["@dec\ndef f():\n  pass", "f()"]),
        ("f(1,\n  2)\ng()", ["f(1,\n  2)", "g()"]),
        ('s = """\na\n\nb"""\ns', ['s = """\na\n\nb"""', "s"]),
        ("x = \\\n  1\nx", ["x = \\\n  1", "x"]),
        (
            "await f()\nasync def g():\n    await f()\nawait g()",
            ["await f()", "async def g():\n    await f()", "await g()"],
        ),
        ("x = = 1\ny", ["x = = 1", "y"]),
        ("\n\n# nothing\nx\n", ["# nothing", "x"]),
        ("if x: y\n", ["if x: y"]),
        ("while True:\n", ["while True:"]),
        ("", []),
    ],
)
def test_piped_statements(text: str, found: list[str]):
    assert list(statements(text.splitlines(keepends=True))) == found


def test_a_piped_statement_is_there_with_its_last_line():
    read: list[str] = []

    def lines() -> Any:
        for line in ("x = 1\n", "y = 2\n"):
            read.append(line)
            yield line

    assert next(statements(lines())) == "x = 1"
    assert read == ["x = 1\n"]


def test_a_typed_block_ends_with_an_empty_line():
    typed = Statements()
    assert typed.take("if x:") is None
    assert typed.take("    y()") is None
    assert typed
    assert typed.take("") == "if x:\n    y()\n"
    assert not typed
    assert typed.take("await f()") == "await f()"
    assert typed.take("x = = 1") == "x = = 1"


# --- history


class Lines:
    """A readline that has nothing but a list."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def clear_history(self) -> None:
        self.lines = []

    def read_history_file(self, path: Any) -> None:
        self.lines = path.read_text().splitlines()

    def set_history_length(self, length: int) -> None:
        self.length = length

    def write_history_file(self, path: Any) -> None:
        path.write_text("\n".join(self.lines[-self.length :]))


def test_history_is_kept_for_its_user_alone(tmp_path: Any):
    file = tmp_path / "history"
    with History(Lines(), file) as history:
        history._readline.lines = [f"x = {n}" for n in range(2000)]
    assert file.stat().st_mode & 0o777 == 0o600
    again = Lines()
    with History(again, file):
        assert again.lines[-1] == "x = 1999"
        assert len(again.lines) == 1000


def test_history_that_cannot_be_kept_is_none(tmp_path: Any):
    with History(Lines(), tmp_path / "no" / "folder"):
        pass
