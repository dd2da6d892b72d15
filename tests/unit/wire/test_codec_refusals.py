"""codec: what cannot travel is refused with the place of it in the message, whatever the message's code does."""

from __future__ import annotations

import asyncio
import collections
import functools
import io
import pickle
import socket
import sys
import threading
import types
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from beampy.errors import EncodeError
from beampy.wire import codec_paths
from beampy.wire.codec import FOREIGN, OUT_OF_BAND, Decoder, Encoder

HERE, CREATION = "a@localhost", 1


class Job(NamedTuple):
    name: str
    work: Any


@dataclass
class Box:
    content: Any


class Slots:
    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content


class State:
    """Its state is what it is told."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return self.state()


class Liar:
    """Says at every opportunity that it is something else, or raises."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise OSError("class")

    def __getattr__(self, name: str) -> Any:
        raise OSError(name)

    def __repr__(self) -> str:
        raise OSError("repr")

    def __eq__(self, other: object) -> bool:
        raise OSError("eq")

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        raise BaseExceptionGroup("many", [SystemExit(1)])


class Mute(Exception):
    def __str__(self) -> str:
        raise OSError("str")


def throw(error: BaseException) -> Any:
    raise error


def in_main(obj: Any) -> Any:
    obj.__module__ = "__main__"
    return obj


@pytest.fixture
def encoder() -> Encoder:
    return Encoder(HERE, CREATION, export=lambda ref: None)


def refused(encoder: Encoder, message: Any) -> EncodeError:
    with pytest.raises(EncodeError) as caught:
        encoder.encode(message)
    assert encoder.encode(1)[1] == Encoder(HERE, CREATION, export=lambda ref: None).encode(1)[1]
    return caught.value


@pytest.mark.parametrize(
    ("wrap", "where"),
    [
        (lambda bad: bad, "message"),
        (lambda bad: (1, {"callback": bad}), "message[1]['callback']"),
        (lambda bad: [[[bad]]], "message[0][0][0]"),
        (lambda bad: {(1, 2): bad}, "message[(1, 2)]"),
        (lambda bad: {bad: 1}, "a key of message"),
        (lambda bad: [{1, bad}], "an element of message[0]"),
        (lambda bad: frozenset([bad]), "an element of message"),
        (lambda bad: Job("x", bad), "message.work"),
        (lambda bad: [Box(Box(bad))], "message[0].content.content"),
        (lambda bad: Slots([bad]), "message.content[0]"),
        (lambda bad: collections.deque([0, bad]), "message[1]"),
        (lambda bad: collections.OrderedDict(a=bad), "message['a']"),
        (lambda bad: ValueError(1, bad), "message.args[1]"),
        (lambda bad: functools.partial(print, 1, k=bad), "message.keywords['k']"),
        (lambda bad: [Box(5), Box({"fresh": bad}), Box(7)], "message[1].content['fresh']"),
        (lambda bad: [5, State(lambda: {"lock": bad})], "inside message[1]"),
    ],
)
def test_the_place_is_named(encoder: Encoder, wrap: Any, where: str) -> None:
    def local() -> None: ...

    error = refused(encoder, wrap(local))
    assert error.what.partition(", ")[0] == where or error.what.startswith(where + ", ")
    line = local.__code__.co_firstlineno
    outer = "test_the_place_is_named"
    assert error.what.endswith(f", function local (defined in {outer} at test_codec_refusals.py:{line})")
    assert "a module has under their name" in error.cause
    assert error.__cause__ is not None


def test_functions_and_classes_that_have_no_name(encoder: Encoder) -> None:
    class Local:
        def method(self) -> None: ...

    assert "function <lambda> (defined in" in str(refused(encoder, [lambda: 0]))
    assert "class Local (defined in" in str(refused(encoder, [Local]))
    assert "class Local (defined in" in str(refused(encoder, [Local()]))
    assert "class Local (defined in" in str(refused(encoder, [Local().method]))


def test_functions_that_their_name_does_not_lead_to(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    original = throw
    monkeypatch.setattr(f"{__name__}.throw", functools.wraps(throw)(lambda error: None))
    assert refused(encoder, original).cause == f"{__name__}.throw is not this object but another one, or nothing"
    monkeypatch.delattr(f"{__name__}.throw")
    assert refused(encoder, original).cause == f"{__name__}.throw is not this object but another one, or nothing"


@pytest.mark.parametrize("of", ["function", "class", "instance", "cached", "method"])
def test_nothing_of_main_travels(encoder: Encoder, monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    """__main__ is there on each node, and is another one."""

    def mine() -> None: ...

    class Mine:
        def method(self) -> None: ...

    mine.__qualname__, Mine.__qualname__ = "mine", "Mine"
    in_main(mine), in_main(Mine)
    cached = functools.lru_cache(mine)
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "mine", cached if of == "cached" else mine, raising=False)
    monkeypatch.setattr(main, "Mine", Mine, raising=False)
    message = {"function": mine, "class": Mine, "instance": Mine(), "cached": cached, "method": Mine().method}[of]
    pickle.dumps(message)
    error = refused(encoder, [message])
    assert error.what.startswith("message[0]")
    assert "__main__ is another module on e" in error.cause


def test_an_object_of_main_that_reduces_to_something_else_travels(encoder: Encoder) -> None:
    class Mine:
        def __reduce__(self) -> Any:
            return int, ("5",)

    kind, parts, _ = encoder.encode([in_main(Mine)()])
    assert Decoder(HERE, CREATION).decode(kind, b"".join(parts)) == [5]


async def test_what_belongs_to_this_process(encoder: Encoder) -> None:
    async def nothing() -> None: ...

    coroutine = nothing()
    task = asyncio.ensure_future(asyncio.sleep(0))
    try:
        with socket.socket() as sock, io.FileIO(__file__) as file:
            for bad in (threading.Lock(), sock, file, task, coroutine, sys._getframe(), (i for i in (1,))):
                assert refused(encoder, {"bad": bad}).what.startswith("message['bad'], ")
            assert refused(encoder, [threading.Event()]).what.startswith("message[0]._cond._lock, lock <")
    finally:
        coroutine.close()
        await task


def test_a_memoryview_is_told_to_be_bytes(encoder: Encoder) -> None:
    error = refused(encoder, ["x", memoryview(b"abc")])
    assert error.what.startswith("message[1], memoryview <memory")
    assert "bytes(view)" in error.cause
    assert "send its name" in refused(encoder, [types]).cause


def test_a_buffer_with_gaps(encoder: Encoder) -> None:
    causes = []
    for size in (10, 4 * OUT_OF_BAND):
        try:
            encoder.encode([Box(1), pickle.PickleBuffer(memoryview(bytes(size))[::2])])
        except EncodeError as error:
            # Its frames are let go at once: CPython 3.11 crashes when it collects a cycle with such a buffer.
            causes.append((error.what, error.cause))
    assert [what for what, _ in causes] == ["message"] * 2
    assert all("non-contiguous" in cause for _, cause in causes)


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), asyncio.CancelledError(), GeneratorExit(), Mute(), MemoryError()]
)
def test_what_user_code_raises_is_an_encode_error(encoder: Encoder, error: BaseException) -> None:
    caught = refused(encoder, [Box(1), State(lambda: throw(error)), Box(2)])
    assert caught.__cause__ is error
    if not isinstance(error, MemoryError):
        assert caught.what.startswith("message[1], State <")
        assert type(error).__name__ in caught.cause


def test_an_object_that_fights_back(encoder: Encoder) -> None:
    error = refused(encoder, [Box(1), Liar()])
    assert error.what.startswith("message[1], Liar")
    assert "BaseExceptionGroup" in error.cause


def test_a_message_that_is_nested_too_deeply(encoder: Encoder) -> None:
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    error = refused(encoder, deep)
    assert error.what == "message"
    assert "too deeply" in error.cause
    while deep:  # one by one: its destructor nests as well
        deep = deep[0]


def test_a_place_that_is_too_far_to_look_for(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_paths, "MOST_STEPS", 100)
    assert refused(encoder, [*range(1000), lambda: 0]).what.startswith("inside message, function <lambda>")
    monkeypatch.setattr(codec_paths, "MOST_STEPS", 10_000)
    deep: Any = lambda: 0  # noqa: E731
    for _ in range(codec_paths.DEEPEST + 1):
        deep = [deep]
    assert refused(encoder, deep).what.startswith("inside message, function <lambda>")
    ring: list[Any] = []
    ring += [ring, ring, {"end": lambda: 0}]
    assert refused(encoder, ring).what.startswith("message[2]['end'], ")


def test_the_search_never_fails_itself(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_paths, "_paths", lambda *args: throw(OSError("broken")))
    error = refused(encoder, [lambda: 0])
    assert error.what == "message"
    assert "OSError while looking for the place" in error.cause


def test_an_encode_error_of_a_reduce_keeps_its_cause(encoder: Encoder) -> None:
    error = refused(encoder, ["x", State(lambda: encoder.encode([lambda: 0]))])
    assert error.what.startswith("message[1], State <")
    assert "a module has under their name" in error.cause


def test_what_user_code_raises_when_read_is_an_exception(encoder: Encoder) -> None:
    for error in (SystemExit(3), asyncio.CancelledError("why"), ValueError("no")):
        kind, parts, _ = encoder.encode([Late(error)])
        assert kind == FOREIGN
        for decode in (Decoder(HERE, CREATION).decode, Decoder(HERE, CREATION).decode_now):
            with pytest.raises(Exception, match=r"no|3|why"):
                decode(kind, b"".join(parts))


class Late:
    """Raises when it is read."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __setstate__(self, state: Any) -> None:
        raise state["error"]
