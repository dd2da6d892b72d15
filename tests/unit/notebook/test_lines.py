"""Lines of several writers in one cell: whole lines, lines without an end, and progress bars."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beampy.notebook.lines import BARS, LONGEST, PARTIAL, ROWS, Lines


def fed(lines: Lines, *pieces: str, writer: str = "w", stream: int = 1, source: str = "a", now: float = 0.0) -> str:
    out = [piece for text in pieces for piece in lines.feed(writer, stream, source, text, now)]
    assert all(number == stream for number, _ in out)
    return "".join(text for _, text in out)


def test_whole_lines_have_their_name():
    lines = Lines()
    assert fed(lines, "one\ntwo\nthr") == "[a] one\n[a] two\n"
    assert fed(lines, "ee\n\n") == "[a] three\n[a] \n"
    assert fed(Lines(), "x\n", source="") == "x\n"
    assert fed(lines, "") == ""


def test_lines_of_two_writers_never_mix():
    lines = Lines()
    assert fed(lines, "on", writer="1") == ""
    assert fed(lines, "two\n", writer="2", source="b") == "[b] two\n"
    assert fed(lines, "e\n", writer="1") == "[a] one\n"


def test_a_line_without_an_end_is_shown_after_a_while_and_goes_on_where_it_stands():
    lines = Lines()
    fed(lines, ".", now=1.0)
    assert lines.next_late() == 1.0 + PARTIAL
    assert lines.late(1.1) == []
    assert lines.late(1.0 + PARTIAL) == [(1, "[a] .")]
    assert lines.next_late() is None
    assert fed(lines, ".", now=2.0) == ""
    assert lines.late(9.0) == [(1, ".")]
    assert fed(lines, ".\nnext\n", now=9.5) == ".\n[a] next\n"
    assert fed(lines, "x\n") == "[a] x\n"


def test_somebody_else_ends_a_line_that_stands_there():
    lines = Lines()
    fed(lines, "half", writer="1")
    lines.late(1.0)
    assert lines.feed("2", 2, "b", "other\n", 1.0) == [(1, "\n"), (2, "[b] other\n")]
    assert fed(lines, " and half\n", writer="1") == "[a]  and half\n"
    fed(lines, "p", writer="1")
    lines.late(5.0)
    fed(lines, "q", writer="2", now=5.0)
    assert lines.late(9.0) == [(1, "\n"), (1, "[a] q")]


def test_the_end_of_a_writer_is_the_end_of_its_line():
    lines = Lines()
    fed(lines, "left")
    assert lines.done("w") == [(1, "[a] left\n")]
    fed(lines, "le", now=3.0)
    lines.late(9.0)
    fed(lines, "ft", now=9.0)
    assert lines.done("w") == [(1, "ft\n")]
    assert lines.done("w") == []
    fed(lines, "le")
    lines.late(9.0)
    assert lines.done("w") == [(1, "\n")]
    assert not lines._writers


def test_a_very_long_line_becomes_several():
    out = fed(Lines(), "x" * (2 * LONGEST + 5), "\n")
    assert [len(line) for line in out.split("\n")] == [LONGEST + 4, LONGEST + 4, 9, 0]


def test_lines_of_windows_are_lines():
    lines = Lines()
    assert fed(lines, "one\r\ntwo\r", "\nthree\n") == "[a] one\n[a] two\n[a] three\n"
    assert lines.bars() == []


def test_a_bar_is_a_row_and_no_line():
    lines = Lines()
    assert fed(lines, "\r 10%", "\r 50", "%") == ""
    assert (lines.redraw, lines.bars()) == (True, ["[a]  50%"])
    lines.redraw = False
    assert fed(lines, "\r100%\n", "after\n") == "[a] after\n"
    assert (lines.redraw, lines.bars()) == (True, ["[a] 100%"])
    assert lines.late(99.0) == []


def test_text_that_is_written_over_becomes_a_bar():
    lines = Lines()
    fed(lines, "loading")
    assert lines.late(1.0) == [(1, "[a] loading")]
    assert fed(lines, "\rloaded ", "\nnext\n", now=2.0) == "\n[a] next\n"
    assert lines.bars() == ["[a] loaded"]


def test_a_shorter_text_leaves_the_rest_of_the_row_as_a_terminal_does():
    lines = Lines()
    fed(lines, "\rlong text\rxx")
    assert lines.bars() == ["[a] xxng text"]
    fed(lines, "\r\x1b[Ky")
    assert lines.bars() == ["[a] y"]


def test_a_bar_that_is_taken_away_leaves_nothing():
    lines = Lines()
    assert fed(lines, "\r 10%", "\r     \r", "said\n") == "[a] said\n"
    assert lines.bars() == []
    fed(lines, "\r 10%", "\r     \r", "\r next 0%")
    assert lines.bars() == ["[a]  next 0%"]


def test_bars_of_several_writers_stay_in_the_order_in_which_they_began():
    lines = Lines()
    for writer in "cab":
        fed(lines, f"\r{writer} 0%", writer=writer, source=writer)
    fed(lines, "\ra 100%\n", writer="a", source="a")
    lines.done("a")
    fed(lines, "\rc 50%", writer="c", source="c")
    assert lines.bars() == ["[c] c 50%", "[a] a 100%", "[b] b 0%"]


def test_nested_bars_as_tqdm_writes_them():
    lines = Lines()
    fed(lines, "\router 0/2")
    for outer in (1, 2):
        for inner in (0, 1, 2):
            fed(lines, "\n", f"\rinner {inner}/2", "\x1b[A")
        fed(lines, f"\router {outer}/2")
    assert lines.bars() == ["[a] outer 2/2", "[a] inner 2/2"]
    assert fed(lines, "\n\nthat is all\n") == "[a] that is all\n"


def test_bars_are_bounded():
    lines = Lines()
    for n in range(BARS + 50):
        fed(lines, f"\r{n}\n")
    shown = lines.bars()
    assert (shown[0], len(shown), shown[-1]) == ("… 50 more", BARS + 1, f"[a] {BARS + 49}")
    assert len(lines._writers["w", 1].rows) <= ROWS + 1


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text("x\n", max_size=5), st.booleans()), max_size=30))
def test_nothing_is_lost_and_nothing_mixes(pieces: list[tuple[str, str, bool]]):
    lines, out, now = Lines(), [], 0.0
    for writer, text, pause in pieces:
        out += lines.feed(writer, 1, writer, text.replace("x", writer.upper()), now)
        if pause:
            now += 1.0
            out += lines.late(now)
    out += lines.done("a") + lines.done("b")
    whole = "".join(text for _, text in out)
    for line in whole.splitlines():
        assert line[:4] in ("[a] ", "[b] ", "")
        assert set(line[4:]) <= {line[1:2].upper()}
    for writer in "ab":
        said = "".join(text for name, text, _ in pieces if name == writer).count("x")
        assert whole.count(writer.upper()) == said


@given(st.lists(st.sampled_from(["a", "bc", "\r", "\n", "\x1b[A", "\x1b[2A", "\x1b[K", "\x1b[31m"]), max_size=40))
def test_whatever_a_terminal_takes(pieces: list[str]):
    lines = Lines()
    for at, text in enumerate(pieces):
        fed(lines, text, now=float(at))
        lines.late(float(at))
        lines.bars()
    lines.done("w")
    assert not lines._writers
