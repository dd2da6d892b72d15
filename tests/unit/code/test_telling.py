"""What is said before messages: it is taken in as it comes, whatever becomes of the messages that need it."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from beampy.code import hook as hooks
from beampy.code import telling
from beampy.code.origin import here
from beampy.core.ids import Pid
from beampy.core.request import Failed
from beampy.core.signals import Crash
from beampy.errors import EncodeError
from beampy.wire.control import MAX_CODE
from tests.unit.code.cells_ground import Connection, Ground, ground, notebook

__all__ = ["ground", "notebook"]

HOME = Pid("home", 1, 1)
OOPS = "class Oops(Exception):\n    def why(self): return because()\ndef because(): return self_made\nself_made = [7]"


# frames


def version(n: int) -> bytes:
    return n.to_bytes(16, "big")


def test_what_is_said_is_read() -> None:
    origins, recipes = {"0123456789abcdef": "a@h"}, {version(1): b"one", version(2): b""}
    [(said, versions)] = telling.frames(origins, recipes)
    assert telling.read(said) == (origins, recipes)
    assert versions == [version(1), version(2)]


def test_nothing_is_no_frame() -> None:
    assert list(telling.frames({}, {})) == []


@pytest.mark.parametrize("size", [0, 1, 300, MAX_CODE // 2 - 80, MAX_CODE // 2])
def test_what_is_long_comes_in_several_frames(size: int) -> None:
    origins = {f"{n:016x}": f"node{n}@127.0.0.1" for n in range(10)}
    recipes = {version(n): bytes(size) for n in range(3 * MAX_CODE // (size + 48))}
    frames = list(telling.frames(origins, recipes))
    assert max(len(said) for said, _ in frames) <= MAX_CODE
    assert 3 <= len(frames) <= 7
    found: tuple[dict[str, str], dict[bytes, bytes]] = {}, {}
    for said, versions in frames:
        some = telling.read(said)
        assert list(some[1]) == versions
        found[0].update(some[0])
        found[1].update(some[1])
    assert found == (origins, recipes)


def test_a_recipe_that_fills_more_than_a_frame_is_left_out() -> None:
    largest = next(size for size in range(MAX_CODE, 0, -1) if list(telling.frames({}, {version(1): bytes(size)})))
    [(said, _)] = telling.frames({}, {version(1): bytes(largest)})
    assert MAX_CODE - 128 < len(said) <= MAX_CODE
    [(said, versions)] = telling.frames({"0": "a@h"}, {version(1): bytes(largest + 1), version(2): b"two"})
    assert versions == [version(2)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        pickle.dumps([1]),
        pickle.dumps({1: b""}),
        pickle.dumps({b"1": "a"}),
        pickle.dumps({"a": 1}),
        pickle.dumps({"a": threading.Thread}),
    ],
    ids=["nothing", "cut off", "a list", "a number", "a version's text", "an origin's number", "a class"],
)
def test_what_is_no_such_thing_is_refused(data: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017 -- any
        telling.read(data)


# messages that nobody reads


def questions(ground: Ground) -> int:
    asked: int = ground.away.code.peers["home"].questions
    return asked


def test_a_message_that_is_dropped_has_told_all_the_same(ground: Ground) -> None:
    ground.run("def g(): return [1]\ndef f(): return g()")
    ground.connection.encode(ground.home, ground["f"])
    assert ground.there(ground["f"])() == [1]
    assert ground.sent == []
    assert questions(ground) == 0


def test_a_function_of_the_messages_own_that_is_dropped(ground: Ground) -> None:
    ground.run("def outer(n):\n    def inner(): return n\n    return inner")
    ground.connection.encode(ground.home, ground["outer"](1))
    assert ground.there(ground["outer"](2))() == 2
    assert questions(ground) == 0


def test_a_crash_that_is_dropped(ground: Ground) -> None:
    """The answer of a call that was cancelled, and then one that is read when its sender cannot be asked any more."""
    ground.run(OOPS)
    oops = ground["Oops"]
    ground.connection.encode(ground.home, Failed(Crash.of(oops(1)), HOME))
    body = ground.connection.encode(ground.home, Failed(Crash.of(oops(2)), HOME))
    assert ground.sent == []
    del ground.away.code.peers["home"]  # it has ended
    there = ground.connection.decode(ground.away, body).crash.exception
    assert (type(there).__name__, there.args, there.why()) == ("Oops", (2,), [7])


def test_a_message_that_cannot_be_written_has_told_all_the_same(ground: Ground) -> None:
    ground.run("def f(): return [1]")
    with pytest.raises(EncodeError):
        ground.there([ground["f"], threading.Lock()])
    assert ground.there(ground["f"])() == [1]
    assert questions(ground) == 0


def test_a_message_overtakes_another(ground: Ground) -> None:
    ground.run("def f(): return [1]")
    first = ground.connection.encode(ground.home, [ground["f"], 1])
    assert ground.there([ground["f"], 2])[0]() == [1]
    assert ground.connection.decode(ground.away, first)[0]() == [1]
    assert questions(ground) == 0


def test_what_could_not_be_said_is_said_the_next_time(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.run("def f(): return [1]")
    with monkeypatch.context() as broken:
        broken.setattr(Connection, "say", lambda *args: False)
        ground.connection.encode(ground.home, ground["f"])
    assert ground.there(ground["f"])() == [1]
    assert questions(ground) == 0


def test_what_is_too_large_to_be_said_is_asked_for(ground: Ground) -> None:
    ground.run(f"data = bytes({MAX_CODE})\ndef f(): return len(data)")
    assert ground.there(ground["f"])() == MAX_CODE
    assert [kind for kind, _ in ground.sent] == ["code", "frame", "function"]
    assert questions(ground) == 1


def test_more_than_goes_unasked_is_asked_for_once(ground: Ground) -> None:
    some = MAX_CODE // 2
    names = [f"data{n}" for n in range(hooks.ALONG // some + 1)]
    ground.run("\n".join(f"{name} = {str(n).encode()!r} * {some}" for n, name in enumerate(names)))
    ground.run(f"def f(): return len({' + '.join(names)})")
    assert ground.there(ground["f"])() == len(names) * some
    assert ground.sent == []
    assert questions(ground) == 1
    ground.there(ground["f"])
    assert questions(ground) == 1


# what is taken in


def test_an_origin_is_met_when_a_message_is_read(ground: Ground) -> None:
    ground.run("def f(): return [1]")
    hook = ground.connection.ends[ground.away][0]
    body = ground.connection.encode(ground.home, ground["f"])
    assert (hook.named, hook.origin) == ({here().id: "home"}, "")  # the loop asks nobody
    ground.connection.decode(ground.away, body)
    assert (hook.named, hook.origin) == ({}, here().id)


def test_what_a_peer_says_it_is_not_told(ground: Ground) -> None:
    ground.run("def f(): return [1]")
    there = ground.there(ground["f"])
    hook, _, _ = ground.connection.ends[ground.away]
    said: list[Any] = []
    hook.say = lambda data: not said.append(data)  # type: ignore[func-returns-value]
    ground.connection.encode(ground.away, there)
    assert said == []


def test_what_a_peer_says_is_kept_within_bounds(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "TOLD", 50)
    monkeypatch.setattr(hooks, "ORIGINS", 20)
    hook = ground.connection.ends[ground.away][0]
    for n in range(100):
        for said, _ in telling.frames({f"{n:016x}": "x@h"}, {version(n): b"no recipe"}):
            hook.heard(said)
    assert len(hook.told) <= 51
    assert len(hook.named) == 20
