"""Questions to an origin: few, none twice at once, and none that is waited for without an end."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from beampy.code import fetching
from beampy.code.fetching import CHUNK, SOURCES, Fetching
from beampy.code.store import Store
from beampy.errors import OriginLost
from tests.unit.code.fake_source import FakeSource


def made(source: FakeSource) -> Fetching:
    found = Fetching(source.node, Store(None))
    found.add(source)
    return found


def test_many_sources_in_few_questions() -> None:
    source = FakeSource({f"m{at}.py": f"X = {at}\n" for at in range(CHUNK + 1)})
    asking = made(source)
    entries = asking.entries([f"m{at}" for at in range(CHUNK + 1)])
    asking.fetch(entries)
    asking.fetch(entries)
    assert source.questions("contents") == [CHUNK, 1]


def test_the_same_question_is_asked_once_by_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Semaphore(0)

    class Waited(Future):  # type: ignore[type-arg]
        def result(self, timeout: float | None = None):
            waiting.release()
            return super().result(timeout)

    monkeypatch.setattr(fetching, "Future", Waited)
    source = FakeSource({"a.py": "", "b.py": ""})
    asking = made(source)
    source.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(asking.entries, ["a", "b"])
        assert source.reached.acquire(timeout=10)
        others = [pool.submit(asking.entries, names) for names in (["a", "b"], ["b", "a"], ["a", "b"])]
        assert all(waiting.acquire(timeout=10) for _ in others)
        source.gate.set()
        assert all(other.result(10) is first.result(10) for other in others)
    assert source.questions("entries") == [("a", "b")]


def test_waiting_for_another_thread_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "WAIT", 0.01)
    source = FakeSource({"a.py": ""})
    asking = made(source)
    entries = asking.entries(["a"])
    while source.reached.acquire(blocking=False):
        pass
    source.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(asking.fetch, entries)
        assert source.reached.acquire(timeout=10)
        second = pool.submit(asking.fetch, entries)
        with pytest.raises(OriginLost, match="module a is needed from nb@host"):
            second.result(10)
        with pytest.raises(OriginLost, match="another thread"):
            asking.once("k", "module k", lambda: pool.submit(asking.once, "k", "module k", int, 0.01).result(10))
        source.gate.set()
        first.result(10)
    assert asking.have(entries[0].digest) == b""


def test_an_interrupted_question_is_asked_again_by_who_waits_for_it() -> None:
    asking = Fetching("nb@host", Store(None))
    begun, go = threading.Event(), threading.Event()

    def interrupted() -> int:
        begun.set()
        assert go.wait(10)
        raise KeyboardInterrupt

    def first() -> str:
        try:
            asking.once("k", "it", interrupted)
        except KeyboardInterrupt:
            return "interrupted"
        return "not"

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert begun.wait(10)
        other = pool.submit(asking.once, "k", "it", lambda: 7)
        go.set()
        assert (one.result(10), other.result(10)) == ("interrupted", 7)


def test_an_error_is_everybodys_and_is_not_kept() -> None:
    asking = Fetching("nb@host", Store(None))
    with pytest.raises(ZeroDivisionError):
        asking.once("k", "it", lambda: 1 // 0)
    assert asking.once("k", "it", lambda: 1) == 1


def test_sources_are_bounded_and_the_latest_comes_first() -> None:
    sources = [FakeSource({"a.py": ""}) for _ in range(SOURCES + 2)]
    asking = Fetching("nb@host", Store(None))
    for source in [*sources, sources[3]]:
        asking.add(source)
    for source in sources:
        source.lost = True
    with pytest.raises(OriginLost, match="it was stopped"):
        asking.entries(["a"])
    assert [bool(source.asked) for source in sources] == [False, False, *[True] * SOURCES]
    assert asking._sources[0] is sources[3]


def test_contents_of_what_is_no_longer_known_are_forgotten() -> None:
    source = FakeSource({"a.py": "A = 1\n", "b.py": "B = 1\n"})
    asking = made(source)
    entries = asking.entries(["a", "b"])
    asking.fetch(entries)
    asking.keep_only([entries[0]])
    assert set(asking._contents) == {entries[0].digest}
    source.lost = True
    assert [asking.have(entry.digest) is not None for entry in entries] == [True, True]  # the store has both
