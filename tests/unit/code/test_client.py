"""Source over a line: the same answers as without one, in parts, and OriginLost for all that goes wrong."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from beampy.code import client
from beampy.code.client import SocketSource, code_answers, give
from beampy.code.entry import ABSENT, NAMESPACE, SOURCE, Module
from beampy.errors import CookieMismatch, NotConnected, OriginLost, RemoteError, RemoteProtocolError
from beampy.wire import requests
from tests.security.ground import cluster, is_well, peers_of, port_of

NODE = "nb@10.0.0.1"
MAGIC = b"\xa7\r\r\n"
MIB = 1024 * 1024


class Fake:
    """An origin of many modules, each with a digest of its own."""

    def __init__(self, count: int = 3, size: int = 10) -> None:
        self.names = [f"m{n}" for n in range(count)]
        self.digests = [n.to_bytes(16, "big") for n in range(count)]
        self.size = size
        self.asked: list[tuple[Any, ...]] = []

    def entries(self, names: Sequence[str]) -> list[Module]:
        self.asked.append(("entries", list(names)))
        known = dict(zip(self.names, self.digests, strict=True))
        found = [
            Module(name, SOURCE, False, known[name], 7, f"/x/{name}.py", ("os", "m0"), "dist", "1.0")
            for name in names
            if name in known
        ]
        return [
            Module("always", NAMESPACE, True),
            *found,
            *(Module(name, ABSENT) for name in names if name not in known),
        ]

    def contents(self, digests: Sequence[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
        self.asked.append(("contents", list(digests), magic))
        code = b"code" if magic == MAGIC else None
        return {digest: (digest * self.size, code) for digest in digests if digest in self.digests}

    def resources(self, package: str) -> list[str]:
        return [f"{package}/a.txt", "data/\udcff.bin"]

    def resource(self, package: str, path: str) -> bytes:
        if path == "a.txt":
            return b"\0" * self.size
        raise FileNotFoundError(path)

    def metadata(self, distribution: str) -> dict[str, str]:
        return {"METADATA": f"Name: {distribution}"} if distribution == "dist" else {}

    def definitions(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """All that are asked for, after all that they refer to: the one before it, and so on."""
        self.asked.append(("definitions", list(digests)))
        last = max((self.digests.index(digest) for digest in digests if digest in self.digests), default=-1)
        return {digest: digest * self.size for digest in self.digests[: last + 1]}


class Straight:
    """A line to a source in this process, through bytes."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.sizes: list[int] = []
        self.timeouts: list[float] = []
        self.closed = False

    def request(self, op: str, args: list[Any], timeout: float) -> Any:
        self.timeouts.append(timeout)
        op, args = requests.read_request(requests.request(op, args)[requests.HEADER :])
        try:
            frame = requests.answer(give(self.source, op, args))
        except Exception as error:
            frame = requests.failure(type(error).__name__, str(error))
        self.sizes.append(len(frame))
        return requests.read_answer(frame[requests.HEADER :])

    def close(self) -> None:
        self.closed = True


class Says:
    """A line that answers one thing to all, or raises it."""

    def __init__(self, what: Any) -> None:
        self.what = what

    def request(self, op: str, args: list[Any], timeout: float) -> Any:
        if isinstance(self.what, BaseException):
            raise self.what
        return self.what

    def close(self) -> None:
        pass


def over(source: Any) -> tuple[SocketSource, Straight]:
    line = Straight(source)
    return SocketSource(NODE, lambda: line), line


def test_the_answers_are_those_of_the_source():
    fake = Fake()
    source, _ = over(fake)
    wanted = [fake.digests[0], b"unknown", fake.digests[2]]
    assert source.entries(["m1", "none"]) == fake.entries(["m1", "none"])
    assert source.contents(wanted, MAGIC) == fake.contents(wanted, MAGIC)
    assert source.contents(wanted, b"other") == fake.contents(wanted, b"other")
    assert source.resources("pkg") == fake.resources("pkg")
    assert source.resource("pkg", "a.txt") == fake.resource("pkg", "a.txt")
    assert source.metadata("dist") == fake.metadata("dist")
    assert source.metadata("none") == {}
    assert source.definitions(wanted) == fake.definitions(wanted)


def test_entries_have_the_types_that_they_had():
    source, _ = over(Fake())
    for entry in source.entries(["m1", "none"]):
        assert type(entry) is Module
        assert type(entry.needs) is tuple


def test_a_file_that_is_not_there():
    source, _ = over(Fake())
    with pytest.raises(FileNotFoundError, match="no such file in its package pkg"):
        source.resource("pkg", "b.txt")


def test_nothing_is_asked_for_nothing():
    source, line = over(Fake())
    assert source.entries([]) == []
    assert source.contents([], MAGIC) == {}
    assert source.definitions([]) == {}
    assert not line.timeouts


# --- much of it


@pytest.mark.parametrize("part", [1, 15, 200, 10**6])
def test_what_is_long_comes_in_parts(part: int, monkeypatch):
    monkeypatch.setattr(client, "PART", part)
    fake = Fake(20, size=1)
    source, line = over(fake)
    assert source.contents(fake.digests, MAGIC) == fake.contents(fake.digests, MAGIC)
    assert max(line.sizes) < max(part, 40) * 3 + 500, "the digests of what is left, too"
    assert source.definitions(fake.digests[-1:]) == {digest: digest for digest in fake.digests}


def test_what_comes_along_is_sent_once(monkeypatch):
    monkeypatch.setattr(client, "PART", 16 * 5)
    fake = Fake(20, size=1)
    source, line = over(fake)
    found = source.definitions(fake.digests[-1:])
    assert len(found) == 20
    assert len(line.sizes) == 4


def test_batches(monkeypatch):
    monkeypatch.setattr(client, "BATCH", 7)
    monkeypatch.setattr(client, "PART", 16 * 3)
    fake = Fake(20, size=1)
    source, _ = over(fake)
    names = [*fake.names, "none"]
    assert sorted(source.entries(names)) == sorted(fake.entries(names))
    del fake.asked[:]
    unknown = [b"?" * 16, b"!" * 16] * 10
    assert source.contents([*unknown, *fake.digests], MAGIC) == fake.contents(fake.digests, MAGIC)
    assert source.definitions(fake.digests) == {digest: digest for digest in fake.digests}
    assert max(len(asked[1]) for asked in fake.asked) <= 20


def test_as_many_as_one_request_may_hold():
    fake = Fake(client.BATCH + 5, size=1)
    source, _ = over(fake)
    names = [f"{name}.{'x' * 90}" for name in fake.names]
    assert len(source.entries(names)) == len(names) + 1
    assert len(source.contents(fake.digests, MAGIC)) == len(fake.digests)


def test_one_item_that_is_too_long_is_an_error_that_says_so():
    source, _ = over(Fake(1, size=requests.MAX_ANSWER))
    with pytest.raises(OriginLost, match=r"the file a.txt of pkg is needed from nb@10\.0\.0\.1.*at most 67108864"):
        source.resource("pkg", "a.txt")


# --- what goes wrong


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotConnected(NODE, "no answer in 30 s"), "no answer in 30 s"),
        (CookieMismatch(NODE, "different cookies"), "different cookies"),
        (RemoteError("ValueError", "a bug"), "ValueError: a bug"),
        (RemoteProtocolError("garbage"), "garbage"),
        (TimeoutError(), "TimeoutError()"),
        (OSError(104, "reset"), "reset"),
    ],
)
def test_whatever_happens_to_the_line_is_origin_lost(error: Exception, said: str):
    for make in (lambda: Says(error), lambda: Says(error).request("", [], 0.0)):
        source = SocketSource(NODE, make)
        for ask in (
            lambda s: s.entries(["m1"]),
            lambda s: s.contents([b"d"], MAGIC),
            lambda s: s.resources("p"),
            lambda s: s.resource("p", "f"),
            lambda s: s.metadata("d"),
            lambda s: s.definitions([b"d"]),
        ):
            with pytest.raises(OriginLost) as caught:
                ask(source)
            assert caught.value.node == NODE
            assert said in caught.value.why
            assert caught.value.__cause__ is error


def test_what_was_asked_for_is_in_the_error():
    source = SocketSource(NODE, lambda: Says(NotConnected(NODE, "gone")))
    with pytest.raises(OriginLost, match=r"module a, b, c and 2 more is needed from nb@10\.0\.0\.1, .*: gone"):
        source.entries(list("abcde"))


def test_an_interrupt_is_none_of_these():
    source = SocketSource(NODE, lambda: Says(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        source.entries(["m1"])


ENTRY = ["m", "source", False, b"d", 1, "/x", ["os"], "", ""]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        5,
        "text",
        {},
        [5],
        [[]],
        [["m"]],
        [[1, *ENTRY[1:]]],
        [[*ENTRY[:2], 1, *ENTRY[3:]]],
        [[*ENTRY[:4], True, *ENTRY[5:]]],
        [[*ENTRY[:6], "os", *ENTRY[7:]]],
        [[*ENTRY[:6], [1], *ENTRY[7:]]],
    ],
)
def test_what_is_no_entry(answer: Any):
    with pytest.raises(OriginLost, match="no answer"):
        SocketSource(NODE, lambda: Says(answer)).entries(["m"])


def test_entries_of_other_releases():
    more = SocketSource(NODE, lambda: Says([[*ENTRY, "new"]])).entries(["m"])
    less = SocketSource(NODE, lambda: Says([ENTRY[:4]])).entries(["m"])
    assert more == [Module("m", "source", False, b"d", 1, "/x", ("os",))]
    assert less == [Module("m", "source", False, b"d")]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        [[]],
        [[], 1],
        [[1], []],
        [[[b"d"]], []],
        [[["d", [b"", b""]]], []],
        [[[b"d", b"bytes"]], []],
        [[[b"d", [b"s", "code"]]], []],
        [[[b"d", [b"s"]]], []],
        [[], ["d"]],
    ],
)
def test_what_is_no_content(answer: Any):
    with pytest.raises(OriginLost, match="no answer"):
        SocketSource(NODE, lambda: Says(answer)).contents([b"d"], MAGIC)


@pytest.mark.parametrize(
    ("method", "args", "answer"),
    [
        ("resources", ["p"], "abc"),
        ("resources", ["p"], [1]),
        ("resource", ["p", "f"], "text"),
        ("metadata", ["d"], []),
        ("metadata", ["d"], {"METADATA": b"bytes"}),
        ("metadata", ["d"], {b"METADATA": "text"}),
        ("definitions", [[b"d"]], [[[b"d", "text"]], []]),
    ],
)
def test_what_is_no_answer(method: str, args: list[Any], answer: Any):
    with pytest.raises(OriginLost, match="no answer"):
        getattr(SocketSource(NODE, lambda: Says(answer)), method)(*args)


def test_an_origin_that_has_more_and_sends_nothing():
    with pytest.raises(OriginLost, match="sends nothing"):
        SocketSource(NODE, lambda: Says([[], [b"e"]])).contents([b"d"], MAGIC)


def test_an_origin_that_never_ends(monkeypatch):
    monkeypatch.setattr(client, "MAX_PARTS", 50)
    numbers = itertools.count()

    class Endless(Says):
        def request(self, op: str, args: list[Any], timeout: float) -> Any:
            n = next(numbers)
            return [[[b"%d" % n, b""]], [b"%d" % (n + 1_000_000)]]

    with pytest.raises(OriginLost, match="does not come to an end"):
        SocketSource(NODE, lambda: Endless(None)).definitions([b"d"])
    assert next(numbers) == 50


# --- the line


def test_one_line_for_all_threads_and_questions():
    fake = Fake()
    made: list[Straight] = []
    begin = threading.Barrier(8)

    def connect() -> Straight:
        made.append(Straight(fake))
        return made[-1]

    source = SocketSource(NODE, connect)
    assert not made, "nothing is connected before it is needed"

    def ask(n: int) -> list[Module]:
        begin.wait(10)
        return source.entries([f"m{n}"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [fake.entries([f"m{n}"]) for n in range(8)]
    assert len(made) == 1
    source.close()
    assert made[0].closed
    source.close()
    assert source.metadata("dist")
    assert len(made) == 2


def test_all_of_a_question_has_one_deadline(monkeypatch):
    monkeypatch.setattr(client, "BATCH", 1)
    line = Straight(Fake())
    SocketSource(NODE, lambda: line, timeout=5.0).entries(["m0", "m1", "m2"])
    assert 5.0 >= line.timeouts[0] >= line.timeouts[1] >= line.timeouts[2] >= 0


# --- two nodes


async def in_thread(fn: Any, *args: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, fn, *args)


@pytest.mark.loops("asyncio", "uvloop")
@pytest.mark.parametrize("tls", [False, True])
async def test_over_two_nodes(tls: bool):
    fake = Fake(6, size=MIB)
    with ThreadPoolExecutor(2, "origin") as pool:
        async with cluster("a", "b", tls=tls) as [a, b]:
            peers_of(a).purposes.register("code", code_answers(fake, pool))
            source = SocketSource(a.name, peers_of(b).blocking_to(a.name, "code"))
            assert await in_thread(source.entries, ["m1", "none"]) == fake.entries(["m1", "none"])
            found = await in_thread(source.contents, fake.digests, MAGIC)  # 96 MiB, in parts
            assert found == fake.contents(fake.digests, MAGIC)
            assert await in_thread(source.resources, "pkg") == fake.resources("pkg")
            with pytest.raises(FileNotFoundError):
                await in_thread(source.resource, "pkg", "none")
            assert len(peers_of(a).purposes) == 1
            await is_well(a, b)
            source.close()


@pytest.mark.loops("asyncio", "uvloop")
async def test_an_origin_that_stops_in_the_middle_or_never_answers():
    came, go = threading.Event(), threading.Event()

    class Slow(Fake):
        def resources(self, package: str) -> list[str]:
            came.set()
            go.wait(10)
            return []

    with ThreadPoolExecutor(2) as pool:
        async with cluster("b") as [b]:
            async with cluster("a") as [a]:
                peers_of(a).purposes.register("code", code_answers(Slow(), pool))
                peers_of(b).listeners.discovery._nodes.table[a.name] = f"127.0.0.1:{port_of(a)}"
                connect = peers_of(b).blocking_to(a.name, "code")
                with pytest.raises(OriginLost, match=r"no answer in 0\.[0-9]* s"):
                    await in_thread(SocketSource(a.name, connect, timeout=0.2).resources, "pkg")
                came.clear()
                source = SocketSource(a.name, connect)
                waiting = asyncio.ensure_future(in_thread(source.resources, "pkg"))
                await in_thread(came.wait, 10)
            go.set()
            with pytest.raises(OriginLost) as caught:
                await waiting
            assert caught.value.node == a.name
            with pytest.raises(OriginLost, match="nobody answers at 127"):
                await in_thread(source.entries, ["m1"])


# --- the origin's side


@pytest.mark.loops("asyncio")
async def test_answers_are_made_in_the_executors_thread():
    threads: list[str] = []

    class Watched(Fake):
        def entries(self, names: Sequence[str]) -> list[Module]:
            threads.append(threading.current_thread().name)
            return super().entries(names)

    with ThreadPoolExecutor(1, "origin") as pool:
        answer = code_answers(Watched(), pool)
        assert [entry[0] for entry in await answer("entries", [["m1"]])] == ["always", "m1"]
        assert await asyncio.gather(answer("resource", ["p", "none"]), answer("metadata", ["none"])) == [None, {}]
    assert [name.startswith("origin") for name in threads] == [True]


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("other", []),
        ("entries", []),
        ("entries", ["m"]),
        ("entries", [[1]]),
        ("contents", [[b"d"], MAGIC]),
        ("contents", [[b"d"], True, "magic"]),
        ("definitions", [[b"d"]]),
        ("resource", ["p"]),
        ("resource", ["p", b"f"]),
        ("resources", [1]),
        ("metadata", [None]),
    ],
)
def test_what_is_no_question(op: str, args: list[Any]):
    with pytest.raises((ValueError, TypeError)):
        give(Fake(), op, args)
