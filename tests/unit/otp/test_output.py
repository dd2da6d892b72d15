"""Capture: what a called function prints and logs is its caller's, and the streams stay what they are."""

# ruff: noqa: T201  -- what is printed is what is tested

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import logging
import os
import sys
import warnings
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.group_leader import STDERR, STDOUT, Text, leader
from beampy.otp import output
from beampy.otp.output import Covered
from beampy.otp.rpc import remote_call, remote_cast
from beampy.testing import harness
from tests.unit.core.test_group_leader import recorded, until
from tests.unit.otp.leader_ground import leading
from tests.unit.otp.rpc_ground import calling, here

# --- calls


@leading
async def test_what_a_function_prints_is_there_before_its_value(recorder):
    async def speak() -> int:
        print("hello")
        print("oh", file=sys.stderr)
        print("no end", end="")
        return 1

    assert await remote_call(here(), speak) == 1
    assert recorder.text() == "hello\nno end"
    assert recorder.text(STDERR) == "oh\n"


@leading
async def test_what_a_plain_function_prints_too(recorder):
    def speak() -> int:
        print("hello")
        sys.stdout.writelines(["a\n", "b"])
        return 1

    assert await remote_call(here(), speak) == 1
    assert recorder.text() == "hello\na\nb"


@leading
async def test_output_comes_while_the_function_runs(recorder):
    go = asyncio.Event()

    async def speak() -> None:
        print("begun")
        await go.wait()

    call = remote_call(here(), speak)
    await until(lambda: recorder.text() == "begun\n")
    assert not call.done()
    go.set()
    await call


@leading
@pytest.mark.parametrize("how", ["raise", "exit", "exit signal", "sys.exit"])
async def test_output_before_a_failure_is_there_before_it(recorder, how):
    async def speak() -> None:
        print("last words", end="")
        match how:
            case "raise":
                raise ValueError
            case "exit":
                bp.exit("oops")
            case "exit signal":
                bp.exit(bp.self(), "oops")
            case "sys.exit":
                sys.exit(1)
        await asyncio.sleep(0)

    with pytest.raises(Exception):  # noqa: B017  -- which one is test_rpc's matter
        await remote_call(here(), speak)
    await until(lambda: recorder.text() == "last words")


@leading
async def test_what_generators_print_is_there_before_the_end(recorder):
    async def speak() -> Any:
        for n in range(3):
            print(n)
            yield n

    def speak_plain() -> Any:
        for n in range(3, 6):
            print(n)
            yield n

    for fn in (speak, speak_plain):
        assert len([item async for item in remote_call(here(), fn)]) == 3  # type: ignore[var-annotated]
    assert recorder.text() == "0\n1\n2\n3\n4\n5\n"


@leading
async def test_what_it_starts_follows_the_same_leader(recorder):
    async def child(word: str) -> None:
        print(word)

    async def speak() -> None:
        await harness.ended(bp.spawn(child, "process"))
        await asyncio.create_task(child("task"))
        await asyncio.to_thread(print, "thread")

    await remote_call(here(), speak)
    assert recorder.text() == "process\ntask\nthread\n"


@leading
async def test_calls_of_calls_have_the_first_callers_leader(recorder):
    async def inner() -> None:
        print("inner")

    async def outer() -> None:
        print("outer")
        await remote_call(here(), inner)

    await remote_call(here(), outer)
    assert sorted(recorder.text().split()) == ["inner", "outer"]


@leading
async def test_warnings_appear_too(recorder):
    spec = importlib.util.find_spec("warnings")
    assert spec is not None
    assert spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)

    async def warn() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = fresh.showwarning  # Python's own, in the place of pytest's
            warnings.warn("careful", UserWarning, stacklevel=1)

    await remote_call(here(), warn)
    assert "UserWarning: careful" in recorder.text(STDERR)


@leading
async def test_casts_too(recorder):
    async def speak() -> None:
        print("cast")

    remote_cast(here(), speak)
    await until(lambda: recorder.text() == "cast\n")


@calling
async def test_without_capture_output_stays_there(capsys):
    async def speak() -> None:
        print("here")

    channel, recorder = recorded()
    token = leader.set(channel)
    call = remote_call.options(capture=False)(here(), speak)
    leader.reset(token)
    await call
    assert recorder.got == []
    assert capsys.readouterr().out == "here\n"


@calling
async def test_a_call_on_ones_own_node_just_prints(capsys):
    async def speak() -> None:
        print("here")

    await remote_call(here(), speak)
    assert capsys.readouterr().out == "here\n"
    assert not isinstance(sys.stdout, Covered)


@leading
async def test_others_print_where_they_did(recorder, capsys):
    me = bp.self()

    async def speak() -> None:
        print("called")
        bp.send(me, "said")
        await bp.receive()

    call = remote_call(here(), speak)
    await harness.expect("said")
    token = leader.set(None)
    print("other")
    leader.reset(token)
    call.cancel()
    await until(lambda: recorder.text() == "called\n")
    assert capsys.readouterr().out == "other\n"


@leading
async def test_streams_that_were_replaced_are_covered_again(recorder, monkeypatch):
    async def speak() -> None:
        print("one")

    await remote_call(here(), speak)
    fresh = io.StringIO()
    monkeypatch.setattr(sys, "stdout", fresh)
    await remote_call(here(), speak)
    monkeypatch.undo()
    assert recorder.text() == "one\none\n"
    assert fresh.getvalue() == ""


@leading
async def test_redirect_stdout_in_the_function_wins(recorder):
    async def speak() -> str:
        print("before")
        with contextlib.redirect_stdout(io.StringIO()) as kept:
            print("kept")
        print("after")
        return kept.getvalue()

    assert await remote_call(here(), speak) == "kept\n"
    assert recorder.text() == "before\nafter\n"


async def test_the_end_of_the_node_uncovers_the_streams(capsys):
    before = sys.stdout, sys.stderr, logging.Logger.callHandlers

    async def speak() -> None:
        print("x")

    async def body() -> None:
        channel, recorder = recorded()
        token = leader.set(channel)
        await remote_call(here(), speak)
        leader.reset(token)
        assert isinstance(sys.stdout, Covered)
        assert isinstance(sys.stderr, Covered)
        assert recorder.text() == "x\n"

    await harness.run(body)
    assert (sys.stdout, sys.stderr, logging.Logger.callHandlers) == before


# --- log records


@leading
async def test_log_records_go_to_the_caller(recorder, caplog):
    async def speak() -> None:
        logger = logging.getLogger("some.where")
        logger.warning("%s and %s", 1, object, extra={"mine": {"a": 1}, "plain": 2})
        logger.debug("not shown")
        try:
            raise KeyError("k")
        except KeyError:
            logger.exception("failed")

    await remote_call(here(), speak)
    first, second = (message.fields for message in recorder.got)
    assert first["msg"] == "1 and <class 'object'>"
    assert (first["name"], first["levelname"], first["plain"], first["mine"]) == (
        "some.where",
        "WARNING",
        2,
        "{'a': 1}",
    )
    assert second["exc_text"].endswith("KeyError: 'k'")
    shown = logging.Formatter("%(name)s %(message)s").format(logging.makeLogRecord(second))
    assert "Traceback" in shown
    assert [record.getMessage() for record in caplog.records] == ["1 and <class 'object'>", "failed"]


@leading
async def test_what_a_handler_writes_to_the_console_is_not_sent_twice(recorder):
    logger = logging.getLogger("console.logger")
    kept = io.StringIO()
    handlers = [logging.StreamHandler(sys.stderr), logging.StreamHandler(sys.__stderr__), logging.StreamHandler(kept)]

    async def speak() -> None:
        late = logging.StreamHandler(sys.stderr)  # made over the covered stream
        logger.addHandler(late)
        try:
            logger.warning("said")
        finally:
            logger.removeHandler(late)

    for handler in handlers:
        logger.addHandler(handler)
    try:
        await remote_call(here(), speak)
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
    assert recorder.text(STDERR) == ""
    assert [message.fields["msg"] for message in recorder.got] == ["said"]
    assert kept.getvalue() == "said\n"


@leading
async def test_loggers_that_do_not_propagate_are_heard(recorder):
    logger = logging.getLogger("private.logger")

    async def speak() -> None:
        logger.error("said")

    logger.propagate = False
    try:
        await remote_call(here(), speak)
    finally:
        logger.propagate = True
    assert [message.fields["msg"] for message in recorder.got] == ["said"]


@leading
async def test_a_record_that_cannot_be_formatted_is_shown_all_the_same(recorder):
    class Unshowable:
        def __repr__(self) -> str:
            raise ValueError

    logger = logging.getLogger("bad")

    async def speak() -> None:
        logger.error("%d", "no number", extra={"what": Unshowable()})

    logger.propagate = False  # pytest's handlers raise for such a record
    try:
        await remote_call(here(), speak)
    finally:
        logger.propagate = True
    (message,) = recorder.got
    assert "do not fit" in message.fields["msg"]
    assert "Unshowable" in message.fields["what"]


@leading
async def test_the_report_of_a_crash_in_what_it_started_goes_to_the_caller(recorder):
    async def crash() -> None:
        raise ValueError("deep down")

    async def start() -> None:
        await harness.ended(bp.spawn(crash))

    await remote_call(here(), start)
    assert any("deep down" in message.fields["msg"] for message in recorder.got if not isinstance(message, Text))


# --- the covered stream


@contextlib.contextmanager
def covered(below: Any) -> Any:
    yield Covered(below, STDOUT)


@calling
async def test_a_covered_stream_is_its_stream():
    raw = io.BytesIO()
    below = io.TextIOWrapper(raw, encoding="latin-1", write_through=True)
    stream: Any = Covered(below, STDOUT)
    assert isinstance(stream, io.TextIOBase)
    assert print("é", end="", file=stream) is None
    assert stream.write("x") == 1
    stream.writelines(["y", "z"])
    stream.flush()
    assert raw.getvalue() == "éxyz".encode("latin-1")
    assert (stream.encoding, stream.errors, stream.closed, stream.isatty()) == ("latin-1", "strict", False, False)
    assert stream.buffer is raw
    stream.buffer.write(b"!")
    stream.mode = "w"
    assert below.mode == "w"  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        stream.write(b"bytes")
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()
    with stream as same:
        assert same is stream
    assert not below.closed
    with pytest.raises(AttributeError):
        _ = stream.no_such_thing
    assert "TextIOWrapper" in repr(stream)


@calling
async def test_a_covered_stream_has_the_descriptor_of_its_stream(tmp_path):
    with (tmp_path / "file").open("w+") as below:
        stream: Any = Covered(below, STDOUT)
        assert stream.fileno() == below.fileno()
        os.write(stream.fileno(), b"raw")
        below.seek(0)
        assert list(stream) == ["raw"]


@calling
async def test_a_covered_stream_under_a_leader():
    channel, recorder = recorded()
    below = io.StringIO()
    stream: Any = Covered(below, STDERR)
    token = leader.set(channel)
    try:
        assert stream.write("text\n") == 5
        stream.flush()
        stream.buffer.write("bytés\n".encode())
        assert stream.buffer.writable()
        assert not stream.isatty()
        with pytest.raises(TypeError, match="must be str, not bytes"):
            stream.write(b"x")
    finally:
        leader.reset(token)
    channel.flush()
    assert recorder.got == [Text(STDERR, "text\nbytés\n")]
    assert below.getvalue() == ""


@calling
async def test_a_write_that_somebody_puts_around_it():
    below, seen = io.StringIO(), []
    stream: Any = Covered(below, STDOUT)
    original = stream.write  # as IPython does for the time of a cell

    def write(text: str) -> int:
        seen.append(text)
        written: int = original(text)
        return written

    stream.write = write
    stream.write("teed")
    stream.write = original
    stream.write(" plain")
    assert (below.getvalue(), seen) == ("teed plain", ["teed"])


@calling
async def test_capturing_twice_and_releasing_twice(monkeypatch):
    below = io.StringIO()
    monkeypatch.setattr(sys, "stdout", below)
    monkeypatch.setattr(sys, "stderr", None)
    output.capture()
    output.capture()
    kept: Any = sys.stdout
    assert isinstance(kept, Covered)
    assert kept._below is below
    assert sys.stderr is None
    output.release()
    assert sys.stdout is kept
    output.release()
    assert sys.stdout is below
    kept.write("still works")
    assert below.getvalue() == "still works"


@calling
async def test_somebody_elses_hook_over_ours_is_left_alone(monkeypatch):
    monkeypatch.setattr(logging.Logger, "callHandlers", logging.Logger.callHandlers)
    output.capture()
    ours = logging.Logger.callHandlers

    def theirs(self: logging.Logger, record: logging.LogRecord) -> None:
        ours(self, record)

    monkeypatch.setattr(logging.Logger, "callHandlers", theirs)
    output.release()
    assert logging.Logger.callHandlers is theirs
    logging.getLogger("x").warning("goes through")
    assert api.self_process().alive
