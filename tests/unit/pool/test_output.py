"""Output of calls: whole lines with the name of their runner, kept within bounds, and nothing breaks it."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from typing import Any

import pytest

from beampy.core.group_leader import STDERR, STDOUT, Bundle, Record, Text, leader
from beampy.otp.output import Covered
from beampy.pool import output
from beampy.pool.output import FINISHED, LINE, LINES, LOG, LONGEST, RUNNER_TEXT, TEXT, CallOutput, Line, PoolOutput
from beampy.pool.pool import Pool
from beampy.testing import harness
from beampy.testing.pool_backend import LoopBackend
from tests.unit.core.test_group_leader import Shown, recorded
from tests.unit.otp.tidy import process


def said(call: CallOutput, *texts: str, stream: int = STDOUT) -> None:
    for text in texts:
        call.take(Text(stream, text))


def record(**more: Any) -> Record:
    one = logging.LogRecord("far.away", logging.WARNING, "file.py", 7, "the message", None, None)
    fields = {name: value for name, value in vars(one).items() if name not in ("args", "exc_info")}
    return Record({**fields, **more})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- what is shown


def test_each_line_has_the_name_of_its_runner(capsys):
    pool = PoolOutput()
    said(pool.of_call(1, "runner-1@host"), "one\ntwo\n")
    said(pool.of_call(2, "runner-2@host"), "oh\n", stream=STDERR)
    assert capsys.readouterr() == ("[runner-1] one\n[runner-1] two\n", "[runner-2] oh\n")


def test_lines_of_calls_never_mix_however_they_arrive(capsys):
    pool = PoolOutput()
    a, b = pool.of_call(1, "a"), pool.of_call(2, "b")
    said(a, "one ")
    said(b, "1 ")
    said(a, "two")
    said(b, "2\n3 ")
    said(a, "E", stream=STDERR)
    said(a, " three\n")
    assert capsys.readouterr().out == "[b] 1 2\n[a] one two three\n"
    a.end()
    b.end()
    b.end()
    assert capsys.readouterr() == ("[b] 3 \n", "[a] E\n")


def test_a_line_goes_to_its_stream_in_one_piece(monkeypatch):
    class Stream(io.StringIO):
        writes: tuple[str, ...] = ()

        def write(self, text: str) -> int:
            self.writes += (text,)
            return len(text)

    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    said(PoolOutput().of_call(1, "a"), "x", "y\nz\n")
    assert stream.writes == ("[a] xy\n[a] z\n",)


@pytest.mark.parametrize(
    ("prefix", "shown"),
    [(True, "[r] x\n"), (False, "x\n"), (lambda runner, call: f"{call} on {runner}: ", "7 on r@h: x\n")],
)
def test_the_prefix_is_as_wished(capsys, prefix, shown):
    said(PoolOutput(prefix=prefix).of_call(7, "r@h"), "x\n")
    assert capsys.readouterr().out == shown


def test_a_prefix_that_raises_costs_no_output(capsys):
    said(PoolOutput(prefix=lambda runner, call: 1 / 0).of_call(7, "r@h"), "x\n")  # type: ignore[arg-type,return-value]
    assert capsys.readouterr().out == "[r] x\n"


def test_labels_have_colours_on_a_terminal_only(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    pool = PoolOutput()
    for call, runner in enumerate(("a", "b", "a")):
        said(pool.of_call(call, runner), "x\n")
    first, second, third = terminal.getvalue().splitlines()
    assert first.startswith("\033[2;36m[a]\033[0m x")
    assert second.startswith("\033[2;33m[b]\033[0m x")
    assert first == third
    monkeypatch.setenv("NO_COLOR", "1")
    said(pool.of_call(9, "a"), "y\n")
    assert terminal.getvalue().endswith("\n[a] y\n")


def test_a_progress_bar_that_draws_over_itself_is_one_line(capsys):
    call = PoolOutput(prefix=False).of_call(1, "a")
    said(call, "10 %\r", "20 %\r", "30 %")
    assert capsys.readouterr().out == ""
    said(call, "\r100 %\nnext\r\n")
    assert capsys.readouterr().out == "100 %\nnext\n"


def test_a_line_without_end_is_several(capsys):
    call = PoolOutput(prefix=False).of_call(1, "a")
    said(call, "x" * LONGEST, "y" * LONGEST, "z\n")
    assert capsys.readouterr().out == f"{'x' * LONGEST}\n{'y' * LONGEST}z\n"


def test_without_capture_nothing_is_shown_or_kept(capsys):
    pool = PoolOutput(capture=False)
    call = pool.of_call(1, "a")
    said(call, "x\n")
    call.take(record())
    call.end()
    assert capsys.readouterr() == ("", "")
    assert pool.lines() == []
    assert call.text == ""


# --- log records


def test_records_keep_their_logger_level_and_time_and_name_their_runner(caplog):
    PoolOutput().of_call(7, "r@h").take(record(created=12.5, mine="kept"))
    (seen,) = caplog.records
    assert (seen.name, seen.levelno, seen.getMessage(), seen.created) == ("far.away", 30, "[r] the message", 12.5)
    assert (seen.runner, seen.call_number, seen.mine) == ("r@h", 7, "kept")


def test_records_have_no_prefix_where_lines_have_none(caplog):
    PoolOutput(prefix=False).of_call(7, "r@h").take(record(msg="100 %s"))
    (seen,) = caplog.records
    assert seen.getMessage() == "100 %s"


def test_loggers_here_say_what_is_shown_here(caplog):
    pool = PoolOutput()
    pool.of_call(7, "r@h").take(record(levelno=10, levelname="DEBUG"))
    assert caplog.records == []
    assert [line.text for line in pool.lines()] == ["DEBUG far.away: the message"]


# --- leaders


@process
async def test_output_of_a_pool_within_a_call_is_the_calls_output(monkeypatch):
    channel, recorder = recorded()
    below = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Covered(below, STDOUT))
    said(PoolOutput().of_call(1, "inner@h", channel), "x\n")
    channel.flush()
    assert recorder.text() == "[inner] x\n"
    assert below.getvalue() == ""


@process
async def test_whoever_delivers_output_does_not_lead_it(monkeypatch):
    channel, recorder = recorded()
    below = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Covered(below, STDOUT))
    token = leader.set(channel)
    said(PoolOutput().of_call(1, "r"), "x\n")
    assert leader.get() is channel
    leader.reset(token)
    channel.flush()
    assert recorder.text() == ""
    assert below.getvalue() == "[r] x\n"


# --- what is kept


def test_lines_are_kept_by_runner_and_by_call(capsys):
    clock = iter(range(100))
    pool = PoolOutput(now=lambda: float(next(clock)))
    one, two, three = pool.of_call(1, "a"), pool.of_call(2, "b"), pool.of_call(3, "a")
    said(one, "1\n2\n")
    said(two, "3\n", stream=STDERR)
    said(three, "4\n")
    three.take(record(created=9.0))
    assert [line.text for line in pool.lines()] == ["1", "2", "3", "4", "WARNING far.away: the message"]
    assert pool.lines("b") == [Line(1.0, "b", 2, STDERR, "3")]
    assert [line.text for line in pool.lines(call=1)] == ["1", "2"]
    assert [line.stream for line in pool.lines("a", 3)] == [STDOUT, LOG]
    assert pool.lines("c") == []


def test_a_call_that_is_run_again_writes_for_its_new_runner(capsys):
    pool = PoolOutput()
    call = pool.of_call(1, "a")
    said(call, "half")
    call.moved("b")
    said(call, "whole\n")
    assert capsys.readouterr().out == "[a] half\n[b] whole\n"
    assert [line.runner for line in pool.lines(call=1)] == ["a", "b"]
    assert call.text == "half\nwhole\n"


def test_each_runner_keeps_its_last_lines_only():
    pool = PoolOutput()
    call = pool.of_call(1, "a")
    for n in range(LINES + 10):
        said(call, f"{n}\n")
    kept = pool.lines("a")
    assert [kept[0].text, kept[-1].text, len(kept)] == ["10", str(LINES + 9), LINES]
    for _ in range(LINES):
        said(call, "x" * (2 * LINE) + "\n")
    kept = pool.lines("a")
    assert {len(line.text) for line in kept} == {LINE}
    assert RUNNER_TEXT - LINE < sum(len(line.text) for line in kept) <= RUNNER_TEXT


def test_the_last_runners_that_have_ended_are_remembered():
    pool = PoolOutput()
    for n in range(FINISHED + 5):
        said(pool.of_call(n, f"r{n}"), "x\n")
        pool.runner_ended(f"r{n}")
    pool.runner_ended("unknown")
    assert pool.lines("r4") == []
    assert len(pool.lines("r5")) == 1
    assert len(pool.lines()) == FINISHED
    said(pool.of_call(1, "r6"), "last words\n")
    assert [line.text for line in pool.lines("r6")] == ["x", "last words"]
    assert pool._runners == {}


def test_the_end_of_a_calls_text_is_kept():
    call = PoolOutput().of_call(1, "a")
    said(call, "begin\n")
    for n in range(100):
        said(call, f"{n:04}" + "x" * 996)
    assert len(call.text) == TEXT
    assert call.text.endswith("x" * 996)
    assert call._size < TEXT + 1000
    said(call, "y" * (2 * TEXT))
    assert call.text == "y" * TEXT


# --- nothing breaks it


def test_nothing_breaks_it(capsys, monkeypatch):
    pool = PoolOutput()
    call = pool.of_call(1, "a")
    for nonsense in (None, "text", Text(7, "x\n"), Text(-1, "x\n"), Text(STDOUT, None), Record({}), Record(None)):  # type: ignore[arg-type]
        call.take(nonsense)
    monkeypatch.setattr(sys, "stdout", None)
    said(call, "nowhere\n")
    monkeypatch.undo()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    said(call, "closed\n")
    monkeypatch.undo()
    said(call, "still here\n")
    assert capsys.readouterr().out == "[a] still here\n"
    assert [line.text for line in pool.lines() if line.stream == STDOUT] == ["nowhere", "closed", "still here"]


def test_text_that_the_stream_cannot_write_has_question_marks_there(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    pool = PoolOutput()
    call = pool.of_call(1, "a")
    said(call, "é\n", "e\n")
    monkeypatch.undo()
    assert narrow.buffer.getvalue() == b"[a] ?\n[a] e\n"  # type: ignore[attr-defined]
    assert [line.text for line in pool.lines()] == ["é", "e"]


def test_visible_text_is_what_a_terminal_shows():
    assert [output._visible(text) for text in ("a", "a\r", "a\rb", "a\rb\r", "\r", "")] == ["a", "a", "b", "b", "", ""]


# --- a pool


def loud() -> int:
    logging.getLogger("loud").warning("\N{GRINNING FACE}" * 60_000)
    sys.stdout.write("\N{GRINNING FACE}" * 60_000 + "\n")
    return 5


async def test_a_call_that_says_much_at_once_has_its_value_all_the_same(capsys, caplog):
    async def body() -> None:
        async with Pool(max=1, backend=LoopBackend()) as pool:
            call = pool.call(loud)
            async with asyncio.timeout(harness.DEADLINE):
                assert await call == 5
            assert "\N{GRINNING FACE}" in call.logs()

    await harness.run(body)
    assert caplog.records[0].getMessage().count("\N{GRINNING FACE}") == 60_000


# --- screens


def test_a_screen_gets_text_as_it_comes_with_the_name_of_the_runner(capsys):
    pool, shown = PoolOutput(), Shown()
    call = pool.of_call(7, "runner-1@host", None, shown)
    said(call, "on", "e\n\r50%")
    call.take(record(msg="100 %s"))
    call.take(Bundle({"text/plain": "P"}, {}))
    writer = shown.got[0][3]
    assert shown.got == [
        (STDOUT, "on", "runner-1", writer),
        (STDOUT, "e\n\r50%", "runner-1", writer),
        ("WARNING", "100 %s", "runner-1"),
        ({"text/plain": "P"}, {}, "runner-1", None, False),
    ]
    call.moved("runner-2@host")
    said(call, "again\n")
    assert shown.got[4:] == [("done", writer), (STDOUT, "again\n", "runner-2", writer)]
    assert [line.text for line in pool.lines()] == ["one", "WARNING far.away: 100 %s", "again"]
    assert call.text == "one\n\r50%WARNING far.away: 100 %s\nagain\n"
    assert capsys.readouterr() == ("", "")
    said(pool.of_call(8, "runner-1", None, shown), "x\n")
    assert shown.got[-1][3] != writer  # lines of two calls never mix


def test_what_a_screen_calls_a_runner():
    shown = Shown()
    said(PoolOutput(prefix=False).of_call(1, "a@h", None, shown), "x\n")
    said(PoolOutput(prefix=lambda runner, call: f"[{runner}:{call}] ").of_call(2, "a@h", None, shown), "y\n")
    assert [got[2] for got in shown.got] == ["", "a@h:2"]


@process
async def test_a_leader_goes_before_a_screen():
    channel, recorder = recorded()
    shown = Shown()
    call = PoolOutput().of_call(1, "inner@h", channel, shown)
    call.take(Bundle({"text/plain": "P"}, {}, "d", True))
    channel.flush()
    assert (recorder.got, shown.got) == ([Bundle({"text/plain": "P"}, {}, "d", True)], [])


def test_a_display_without_a_screen_is_its_text(capsys):
    PoolOutput().of_call(1, "a@h").take(Bundle({"text/plain": "P\nQ", "image/png": b"x"}, {}))
    assert capsys.readouterr().out == "[a] P\n[a] Q\n"


def test_a_screen_that_raises_breaks_nothing():
    class Broken(Shown):
        def text(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("no")

    call = PoolOutput().of_call(1, "a@h", None, Broken())
    said(call, "x\n")
    call.end()
    assert call.text == "x\n"
