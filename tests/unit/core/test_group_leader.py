"""The group leader: channels that batch, order and bound output, and the console that writes it."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core import group_leader
from beampy.core.group_leader import (
    PIECE,
    RATE,
    STDERR,
    STDOUT,
    Bundle,
    Channel,
    Record,
    Report,
    Text,
    appear,
    console,
    leader,
    leader_for,
    screen,
    screen_now,
)
from beampy.core.unread import Unread
from beampy.testing import harness
from tests.unit.otp.tidy import process


class Recorder:
    """Stands in a console's place: keeps what comes."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def take_message(self, ref: bp.Ref, message: Any) -> None:
        self.got.append(message)

    def text(self, stream: int = STDOUT) -> str:
        return "".join(m.text for m in self.got if isinstance(m, Text) and m.stream == stream)


def recorded() -> tuple[Channel, Recorder]:
    """A channel of the current process, and what comes out of it."""
    me = api.self_process()
    ref, recorder = me.node.new_ref(), Recorder()
    ref._holder = recorder
    return Channel(me, ref), recorder


async def until(condition: Any) -> None:
    async with asyncio.timeout(harness.DEADLINE):
        while not condition():
            await asyncio.sleep(0.001)


a_still_clock = pytest.mark.loops("sim")  # what may be written depends on the time

# --- channels


@process
async def test_lines_go_soon_and_together():
    channel, recorder = recorded()
    channel.write(STDOUT, "one\n")
    channel.write(STDOUT, "two\n")
    assert recorder.got == []
    await until(lambda: recorder.got)
    assert recorder.got == [Text(STDOUT, "one\ntwo\n")]


@process
async def test_a_line_without_its_end_waits_for_it_and_not_long():
    channel, recorder = recorded()
    channel.write(STDOUT, "pro")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert recorder.got == []
    channel.write(STDOUT, "mpt")
    await until(lambda: recorder.got)
    assert recorder.got == [Text(STDOUT, "prompt")]


@process
async def test_a_newline_does_not_wait_for_what_waits():
    channel, recorder = recorded()
    channel.write(STDOUT, "a")
    channel.write(STDOUT, "b\n")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert recorder.got == [Text(STDOUT, "ab\n")]
    await asyncio.sleep(2 * group_leader.PARTIAL)
    assert len(recorder.got) == 1


@process
async def test_streams_and_records_keep_their_order():
    channel, recorder = recorded()
    channel.write(STDOUT, "1\n")
    channel.write(STDERR, "2\n")
    channel.write(STDERR, "3\n")
    channel.record({"msg": "4"})
    channel.write(STDOUT, "5\n")
    channel.flush()
    assert recorder.got == [
        Text(STDOUT, "1\n"),
        Text(STDERR, "2\n3\n"),
        Record({"msg": "4"}),
        Text(STDOUT, "5\n"),
    ]


@process
async def test_flush_sends_at_once_and_nothing_twice():
    channel, recorder = recorded()
    channel.flush()
    channel.write(STDOUT, "")
    channel.flush()
    assert recorder.got == []
    channel.write(STDOUT, "x\n")
    channel.flush()
    channel.flush()
    await asyncio.sleep(0.01)
    assert recorder.got == [Text(STDOUT, "x\n")]


@process
async def test_long_text_goes_in_pieces():
    channel, recorder = recorded()
    text = "x" * (2 * PIECE + 1)
    channel.write(STDOUT, text)
    channel.flush()
    assert [len(message.text) for message in recorder.got] == [PIECE, PIECE, 1]
    assert recorder.text() == text


@a_still_clock
@process
async def test_what_is_too_much_is_dropped_and_counted_in_one_line():
    channel, recorder = recorded()
    channel.write(STDOUT, "x" * RATE)
    for _ in range(100):
        channel.write(STDOUT, "y" * 1000)
    channel.flush()
    assert recorder.text() == "x" * RATE
    assert recorder.text(STDERR) == "… 100 000 characters dropped\n"
    channel.flush()
    assert recorder.text(STDERR).count("dropped") == 1


@a_still_clock
@process
async def test_of_a_text_that_is_too_long_its_beginning_is_shown():
    channel, recorder = recorded()
    channel.write(STDOUT, "x" * (RATE + 7) + "end\n")
    channel.write(STDOUT, "\n")  # no lonely ends of lines that were dropped
    channel.flush()
    assert recorder.text() == "x" * RATE
    assert recorder.text(STDERR) == "… 12 characters dropped\n"


@a_still_clock
@process
async def test_what_was_dropped_is_told_before_what_follows_it():
    channel, recorder = recorded()
    channel.write(STDOUT, "x" * RATE)
    channel.write(STDOUT, "y" * RATE)
    channel._at -= 0.5  # half a second goes by
    channel.write(STDOUT, "z\n")
    channel.flush()
    assert [message.text for message in recorder.got[-2:]] == [
        f"… {RATE // 1000} {RATE % 1000} characters dropped\n",
        "z\n",
    ]


@process
async def test_the_count_comes_without_anything_following_it():
    channel, recorder = recorded()
    channel.write(STDOUT, "x" * RATE)
    channel.flush()
    channel.write(STDOUT, "y" * RATE)
    await until(lambda: "dropped" in recorder.text(STDERR))


@pytest.mark.loops("asyncio", "uvloop")
@process
async def test_threads_write_too_and_what_each_writes_is_in_order():
    channel, recorder = recorded()

    def work(name: str) -> None:
        for n in range(50):
            channel.write(STDOUT, f"{name}{n}\n")
        channel.write(STDOUT, f"{name}-end")

    await asyncio.gather(*(asyncio.to_thread(work, name) for name in "abc"))
    await until(lambda: recorder.text().count("-end") == 3)
    for name in "abc":
        text = recorder.text().replace("-end", "\n")
        lines = [line for line in text.splitlines() if line.startswith(name) and line[1:].isdigit()]
        assert lines == [f"{name}{n}" for n in range(50)]


@process
async def test_a_report_goes_with_the_flush_of_others_and_behind_the_output():
    channel, recorder = recorded()
    reports = [Report((("x", 1, 2, False),), ()), None]
    channel.report = lambda: reports.pop(0)
    channel.write(STDOUT, "text\n")
    await until(lambda: recorder.got)
    assert recorder.got == [Text(STDOUT, "text\n")]
    channel.write(STDOUT, "more\n")
    channel.flush()
    assert recorder.got[1:] == [Text(STDOUT, "more\n"), Report((("x", 1, 2, False),), ())]
    channel.flush()
    assert len(recorder.got) == 3
    assert reports == []


@process
async def test_a_console_does_not_show_reports(capsys):
    send_to_console(Report((("x", 1, 2, False),), ()))
    assert capsys.readouterr() == ("", "")


async def test_output_after_the_end_of_the_node_harms_nobody():
    async with bp.Node():
        channel, _ = recorded()
    channel.write(STDOUT, "late\n")
    channel.flush()
    await asyncio.sleep(0)


def test_output_after_the_end_of_the_loop_is_dropped():
    async def main() -> Channel:
        async with bp.Node():
            return recorded()[0]

    channel = asyncio.run(main())
    channel.write(STDOUT, "late\n")
    channel.write(STDOUT, "late")


# --- who leads


@process
async def test_a_call_takes_its_own_leader_along_or_the_console():
    me = api.self_process()
    assert leader_for(me, me.node.name) is None
    assert leader_for(me, "b@h") == console(me.node) == console(me.node)
    channel, _ = recorded()
    token = leader.set(channel)
    assert leader_for(me, me.node.name) == leader_for(me, "b@h") == channel.dest
    leader.reset(token)


@process
async def test_processes_tasks_and_threads_inherit_the_leader():
    channel, recorder = recorded()
    token = leader.set(channel)

    def write(word: str) -> None:
        current = leader.get()
        assert current is not None
        current.write(STDOUT, f"{word}\n")

    async def child(word: str) -> None:
        write(word)

    await harness.ended(bp.spawn(child, "process"))
    await asyncio.ensure_future(child("task"))
    await asyncio.to_thread(write, "thread")
    leader.reset(token)
    channel.flush()
    assert recorder.text() == "process\ntask\nthread\n"


# --- the console


def send_to_console(message: Any) -> None:
    bp.send(console(api.self_process().node), message)


@process
async def test_the_console_writes_to_the_streams_of_the_moment(capsys):
    send_to_console(Text(STDOUT, "out\n"))
    send_to_console(Text(STDERR, "err\n"))
    assert capsys.readouterr() == ("out\n", "err\n")


@process
async def test_the_console_hands_records_to_their_logger(caplog):
    record = logging.LogRecord("some.where", logging.WARNING, "file.py", 7, "said", None, None)
    fields = {**vars(record), "node": "b@h"}
    send_to_console(Record(fields))
    (seen,) = caplog.records
    assert (seen.name, seen.levelno, seen.getMessage(), seen.lineno, seen.node) == (
        "some.where",
        logging.WARNING,
        "said",
        7,
        "b@h",
    )
    caplog.clear()
    send_to_console(Record({**fields, "levelno": logging.DEBUG, "levelname": "DEBUG"}))
    assert caplog.records == []  # this node's loggers say what is shown here


@process
async def test_the_console_reads_what_comes_from_other_nodes(capsys):
    send_to_console(Unread(lambda _: Text(STDOUT, "far\n"), "b@h", 9))
    assert capsys.readouterr().out == "far\n"


@process
async def test_nothing_breaks_the_console(capsys, monkeypatch):
    def fail(_: bool) -> Any:
        raise ValueError("unreadable")

    send_to_console(Unread(fail, "b@h", 9))
    send_to_console("nonsense")
    send_to_console(Record({}))
    monkeypatch.setattr(sys, "stdout", None)
    send_to_console(Text(STDOUT, "nowhere\n"))
    monkeypatch.undo()
    send_to_console(Text(STDOUT, "still here\n"))
    assert capsys.readouterr().out == "still here\n"


@process
async def test_what_the_console_writes_has_no_leader(monkeypatch):
    """Else, where caller and callee are one program, it would go round in circles."""
    channel, _ = recorded()
    seen = []

    class Stream:
        def write(self, text: str) -> None:
            seen.append((text, leader.get()))

        def flush(self) -> None: ...

    monkeypatch.setattr(sys, "stdout", Stream())
    token = leader.set(channel)
    send_to_console(Text(STDOUT, "x\n"))
    assert leader.get() is channel
    leader.reset(token)
    assert seen == [("x\n", None)]


# --- screens


class Shown:
    """A screen that keeps what appears."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def text(self, stream: int, text: str, source: str, writer: Any = None) -> None:
        self.got.append((stream, text, source, writer))

    def done(self, writer: Any) -> None:
        self.got.append(("done", writer))

    def record(self, record: logging.LogRecord, source: str) -> None:
        self.got.append((record.levelname, record.getMessage(), source))

    def bundle(
        self, data: dict[str, Any], metadata: dict[str, Any], source: str, display_id: str | None, update: bool
    ) -> None:
        self.got.append((data, metadata, source, display_id, update))


@process
async def test_what_a_call_says_appears_on_the_screen_of_who_made_it(capsys, monkeypatch):
    me, one, two = api.self_process(), Shown(), Shown()
    token = screen.set(one)
    ref = leader_for(me, "b@h")
    assert ref == leader_for(me, "b@h") != leader_for(me, "c@h")
    assert screen_now() is one
    assert leader_for(me, me.node.name) is None
    screen.reset(token)
    monkeypatch.setattr(group_leader, "latest_screen", two)  # code without a context of its own
    other = leader_for(me, "b@h")
    assert other not in (ref, None)
    assert ref is not None
    assert other is not None
    bp.send(ref, Text(STDOUT, "out\n"))
    bp.send(ref, Record({"name": "x", "msg": "said", "levelname": "INFO", "levelno": 20}))
    bp.send(ref, Bundle({"text/plain": "P"}, {}, "d", True))
    bp.send(ref, Text(7, "no such stream"))
    bp.send(ref, "nonsense")
    bp.send(other, Unread(lambda _: Text(STDERR, "far\n"), "b@h", 9))
    assert one.got == [
        (STDOUT, "out\n", "b@h", None),
        ("INFO", "said", "b@h"),
        ({"text/plain": "P"}, {}, "b@h", "d", True),
    ]
    assert two.got == [(STDERR, "far\n", "b@h", None)]
    assert capsys.readouterr() == ("", "")


@process
async def test_addresses_of_screens_are_bounded_and_those_that_are_used_stay(monkeypatch):
    monkeypatch.setattr(group_leader, "CONSOLES", 3)
    node, shown = api.self_process().node, Shown()
    kept = console(node, shown, "kept")
    silent = [console(node, Shown(), str(n)) for n in range(2)]
    bp.send(kept, Text(STDOUT, "x\n"))
    for n in range(2):
        console(node, Shown(), f"more {n}")
    bp.send(kept, Text(STDOUT, "y\n"))
    assert [text for _, text, _, _ in shown.got] == ["x\n", "y\n"]
    assert all(ref.id not in node.exported for ref in silent)


@process
async def test_a_new_address_stays_where_all_others_are_used(monkeypatch):
    monkeypatch.setattr(group_leader, "CONSOLES", 3)
    node = api.self_process().node
    for n in range(3):
        bp.send(console(node, Shown(), str(n)), Text(STDOUT, "x\n"))
    shown = Shown()
    bp.send(console(node, shown, "new"), Text(STDOUT, "y\n"))
    assert [text for _, text, _, _ in shown.got] == ["y\n"]
    assert len(group_leader._of_screens[node]) == 3


def test_on_no_screen_anything_else_appears():
    shown = Shown()
    appear("nonsense", shown, "a")
    appear(Text(STDOUT, 7), shown, "a")  # type: ignore[arg-type]
    appear(Bundle("data", {}), shown, "a")  # type: ignore[arg-type]
    appear(Bundle({}, "metadata"), shown, "a")  # type: ignore[arg-type]
    appear(Bundle({}, {}, 7), shown, "a")  # type: ignore[arg-type]
    appear(Bundle({7: "x"}, {}), shown, "a")  # type: ignore[dict-item]
    assert shown.got == []
