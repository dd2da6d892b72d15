"""A store written to later: there at once, on disk soon, and never more waiting than its limit."""

from __future__ import annotations

import os
import threading

import pytest

from beampy.code import store_later
from beampy.code.manifest import digest
from beampy.code.store import Store
from beampy.code.store_later import StoreLater


class Slow:
    """Writes when it is let."""

    def __init__(self) -> None:
        self.store = Store(None)
        self.go = threading.Event()
        self.begun = threading.Event()
        self.writers: list[str] = []

    def get(self, key: bytes) -> bytes | None:
        return self.store.get(key)

    def put(self, data: bytes) -> bytes:
        self.put_as(digest(data), data)
        return digest(data)

    def put_as(self, key: bytes, data: bytes) -> None:
        self.begun.set()
        assert self.go.wait(10)
        self.writers.append(threading.current_thread().name)
        self.store.put_as(key, data)


def test_what_was_put_is_there_before_it_is_written() -> None:
    slow = Slow()
    later = StoreLater(slow)
    key = later.put(b"x = 1")
    later.put_as(b"k" * 16, b"code")
    assert (key, slow.get(key)) == (digest(b"x = 1"), None)
    assert (later.get(key), later.get(b"k" * 16), later.get(b"?" * 16)) == (b"x = 1", b"code", None)
    slow.go.set()
    later.flush()
    assert (slow.get(key), slow.get(b"k" * 16), later.get(key)) == (b"x = 1", b"code", b"x = 1")


def test_flush_does_not_wait_for_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_later, "PAUSE", 1000.0)
    store = Store(None)
    later = StoreLater(store)
    key = later.put(b"1")
    later.flush()
    assert store.get(key) == b"1"
    key = later.put(b"2")  # a second thread, that pauses again
    later.flush()
    assert store.get(key) == b"2"
    later.flush()


def test_what_is_put_while_it_writes_is_written_too() -> None:
    slow = Slow()
    later = StoreLater(slow)
    keys = [later.put(b"1")]
    later._hurry.set()
    assert slow.begun.wait(10)
    keys += [later.put(b"2"), later.put(b"1")]
    slow.go.set()
    later.flush()
    assert [slow.get(key) for key in keys] == [b"1", b"2", b"1"]
    assert len(slow.writers) == 2


def test_who_puts_too_much_writes_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_later, "WAITING", 10)
    slow = Slow()
    slow.go.set()
    later = StoreLater(slow)
    key = later.put(b"x" * 11)
    assert slow.writers == [threading.current_thread().name]
    assert later.get(key) == b"x" * 11


def test_a_write_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Slow):
        def put(self, data: bytes) -> bytes:
            if data == b"bad":
                raise RuntimeError
            return super().put(data)

    broken = Broken()
    broken.go.set()
    later = StoreLater(broken)
    later.put(b"bad")
    key = later.put(b"good")
    later.flush()
    assert (broken.get(key), later.get(key)) == (b"good", b"good")
    assert [record.getMessage() for record in caplog.records] == ["code was not kept in the cache"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_starts_anew() -> None:
    slow = Slow()
    later = StoreLater(slow)
    later.put(b"1")
    child = os.fork()
    if not child:
        try:
            later.reset()
            slow.go = threading.Event()
            slow.go.set()
            key = later.put(b"2")
            later.flush()
            os._exit(0 if slow.get(key) == b"2" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    slow.go.set()
    later.flush()
