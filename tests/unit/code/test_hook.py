"""Definitions in messages: identity over messages and processes, errors that name what cannot travel, threads."""

from __future__ import annotations

import gc
import logging
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from beampy.code import building, past
from beampy.errors import EncodeError
from tests.unit.code.cells_ground import Connection, Ground, ground, notebook

__all__ = ["ground", "notebook"]

SHAPES = """
    import dataclasses, enum, typing
    @dataclasses.dataclass
    class Point:
        x: int
    class Color(enum.Enum):
        RED = 1
        BLUE = [2]
    class Perm(enum.Flag):
        R = 1
        W = 2
    class Pair(typing.NamedTuple):
        a: int
        b: str = "z"
    class Error(Exception):
        def __init__(self, a, b):
            super().__init__(a, b)
            self.b = b
    class Meta(type): pass
    class Made(metaclass=Meta): pass
    T = typing.TypeVar("T")
    class Box(typing.Generic[T]):
        def __init__(self, v): self.v = v
    def local():
        class Local: pass
        return Local
    Local = local()
    given = [Point(1), Color.RED, Color.BLUE, Perm.R | Perm.W, Pair(1), Error(1, 2), Made(), Box(3), Local()]
    """


# identity


def test_a_class_is_one_class_over_all_messages(ground: Ground) -> None:
    ground.run(SHAPES)
    first, second = ground.there(ground["given"]), ground.there(ground["given"])
    for mine, one, two in zip(ground["given"], first, second, strict=True):
        assert type(one) is type(two)
        assert type(one) is not type(mine)
        assert type(one).__name__ == type(mine).__name__


def test_what_comes_home_is_of_its_class(ground: Ground) -> None:
    ground.run(SHAPES)
    back = ground.back(ground.there(ground["given"]))
    for mine, one in zip(ground["given"], back, strict=True):
        assert type(one) is type(mine)
    assert back[0] == ground["Point"](1)
    assert back[1] is ground["Color"].RED
    assert back[2] is ground["Color"].BLUE
    assert back[3] is ground["Perm"](3)
    assert (back[5].args, back[5].b) == ((1, 2), 2)


def test_what_is_made_there_comes_home_as_of_its_class(ground: Ground) -> None:
    ground.run(
        SHAPES + "\n    def make(): return [Point(1), Color.RED, Pair(2), Box[int](3), Local(), Point, Box[int]]"
    )
    back = ground.back(ground.there(ground["make"])())
    assert [type(one) for one in back[:5]] == [ground[name] for name in ("Point", "Color", "Pair", "Box", "Local")]
    assert back[5] is ground["Point"]
    assert back[6] == ground["Box"][int]


def test_members_of_enums_are_identical(ground: Ground) -> None:
    ground.run(SHAPES + "\n    def same(c): return c is Color.RED, {Color.RED: 1}[c]")
    assert ground.there((ground["same"], ground["Color"].RED))[0](ground.there(ground["Color"].RED)) == (True, 1)
    assert ground.there(ground["Color"].RED) is ground.there(ground["Color"])["RED"]


def test_old_instances_work_after_a_redefinition_and_are_not_of_the_new_class(ground: Ground) -> None:
    ground.run("class A:\n    def v(self): return 1")
    old, here = ground.there(ground["A"]()), ground["A"]()
    ground.run("class A:\n    def v(self): return 2")
    new = ground.there(ground["A"]())
    assert (old.v(), new.v()) == (1, 2)
    assert not isinstance(old, type(new))
    assert not isinstance(new, type(old))
    home = ground.back([old, new])
    assert [isinstance(one, ground["A"]) for one in home] == [False, True]
    assert type(home[0]) is type(here)


def test_an_instance_from_before_a_helper_changed_is_of_its_class(ground: Ground) -> None:
    """The class is the same object here, though what its methods call makes it another version."""
    ground.run("def g(): return 1\nclass A:\n    def v(self): return g()\ndef f(): return A()")
    old, fn = ground.there((ground["A"](), ground["f"]))
    ground.run("def g(): return 2")
    new = ground.there(ground["A"]())
    assert (old.v(), new.v()) == (1, 2)
    assert type(old) is not type(new)
    back = ground.back([old, new, fn])
    assert [type(one) for one in back[:2]] == [ground["A"], ground["A"]]
    assert back[2] is ground["f"]


def test_an_instance_of_a_class_that_was_redefined_is_of_it_as_long_as_it_is_there(ground: Ground) -> None:
    cell = "class A:\n    n = {}\n    def me(self): return A"
    ground.run(cell.format(1))
    old, kept = ground.there(ground["A"]()), ground["A"]()
    ground.run(cell.format(2))
    ground.there(ground["A"])
    gc.collect()
    assert type(ground.back(old)) is type(kept)
    del kept
    gc.collect()
    assert type(ground.back(old)).__name__ == "A"


def test_a_value_that_changes_all_the_time_leaves_nothing(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "MOST", 50)
    ground.run("l = []\ndef f(): return l\ndef g(): return 1")
    there = ground.there(ground["g"])
    for n in range(200):
        ground["l"].append(n)
        last = ground.there(ground["f"])
    assert len(ground.home.definitions.past.nodes) < 70
    assert len(ground.home.definitions.past.things) < 70
    assert ground.back((there, last)) == (ground["g"], ground["f"])


def test_state_of_a_class_there_outlives_later_messages(ground: Ground) -> None:
    ground.run(
        "class C:\n    n = 0\n    seen = []\n"
        "    def inc(self):\n        C.n += 1\n        C.seen.append(1)\n        return C.n"
    )
    cls = ground.there(ground["C"])
    assert [ground.there(ground["C"]()).inc() for _ in range(3)] == [1, 2, 3]
    assert (cls.n, cls.seen) == (3, [1, 1, 1])
    assert (ground["C"].n, ground["C"].seen) == (0, [])


def test_what_a_function_has_cached_there_outlives_later_messages(ground: Ground) -> None:
    ground.run("import functools\n@functools.lru_cache\ndef f(x): return object()")
    assert ground.there(ground["f"])(1) is ground.there(ground["f"])(1)
    assert ground.back(ground.there(ground["f"])) is ground["f"]


def test_two_senders_of_one_version_give_one_class(ground: Ground) -> None:
    ground.run("class A: pass\ndef f(): return A()")
    third = ground.process("third")
    at_away = Connection(ground.home, ground.away)
    ours = at_away.send(ground.home, ground["A"])
    to_third = ground.connection
    relayed = Connection(ground.away, third)
    assert relayed.send(ground.away, ours) is to_third.send(ground.home, ground["A"])
    assert type(relayed.send(ground.away, at_away.send(ground.home, ground["f"])())) is to_third.send(
        ground.home, ground["A"]
    )


def test_what_is_relayed_is_what_it_was_and_comes_home_from_there(ground: Ground) -> None:
    ground.run(SHAPES + "\n    def f(p): return p, Color.RED")
    away = ground.connection
    third = ground.process("third")
    home_third = ground.connection
    relay = Connection(ground.away, third)
    fn, point = relay.send(ground.away, away.send(ground.home, (ground["f"], ground["given"][0])))
    back = home_third.send(third, (fn, *fn(point)))
    assert back[0] is ground["f"]
    assert (type(back[1]), back[2]) == (ground["Point"], ground["Color"].RED)


def test_a_relay_gives_what_it_was_never_sent_along(ground: Ground) -> None:
    ground.run("data = list(range(100_000))\ndef f(): return len(data)")
    third = ground.process("third")
    away = Connection(ground.home, ground.away)
    fn = away.send(ground.home, ground["f"])
    assert ground.away.code.peers["home"].questions == 1
    assert Connection(ground.away, third).send(ground.away, fn)() == 100_000
    assert third.code.peers["away"].questions == 1


def test_a_type_variable_is_one_object(ground: Ground) -> None:
    ground.run(SHAPES)
    variable, box = ground.there((ground["T"], ground["Box"]))
    assert box.__parameters__ == (variable,)
    assert ground.back(variable) is ground["T"]


def test_a_module_travels_by_its_name(ground: Ground) -> None:
    import json.decoder

    assert ground.there([json, {"d": json.decoder}]) == [json, {"d": json.decoder}]


def test_the_loop_builds_nothing(ground: Ground) -> None:
    ground.run("def f(): return 1")
    kind, body, buffers = ground.connection.encode(ground.home, ground["f"])
    decoder = ground.connection.ends[ground.away][2]
    with pytest.raises(building_needed()):
        decoder.decode_now(kind, body, buffers)
    decoder.decode(kind, body, buffers)
    assert decoder.decode_now(kind, body, buffers)() == 1


def building_needed() -> type[Exception]:
    from beampy.wire.codec import NeedsImport

    return NeedsImport


# errors

WRONG = {
    "a lock": (
        "import threading\nlock = threading.Lock()\ndef f(): return lock",
        "the global 'lock' of function f",
        "lock",
    ),
    "a lock two functions down": (
        "import threading\nlock = threading.Lock()\ndef g(): return lock\ndef f(): return g()",
        "the global 'lock' of function g",
        "lock",
    ),
    "a socket": ("import socket\ns = socket.socket()\ndef f(): return s", "the global 's' of function f", "socket"),
    "a file": ("log = open('/dev/null')\ndef f(): return log", "the global 'log' of function f", "TextIOWrapper"),
    "a file in a dict": (
        "d = {'log': open('/dev/null', 'rb')}\ndef f(): return d",
        "the global 'd' of function f",
        "Buffered",
    ),
    "a generator": ("g = (i for i in ())\ndef f(): return g", "the global 'g' of function f", "generator"),
    "a thread": (
        "import threading\nt = threading.Thread()\ndef f(): return t",
        "the global 't' of function f",
        "cannot pickle '_thread.",
    ),
    "in a closure": (
        "import threading\ndef make(lock):\n    def f(): return lock\n    return f\n"
        "g = make(threading.Lock())\ndef f(): return g",
        "the global 'g' of function f",
        "lock",
    ),
    "in a default": ("import threading\ndef f(lock=threading.Lock()): return lock", "function f", "lock"),
    "in a class": ("import threading\nclass C:\n    lock = threading.Lock()\ndef f(): return C", "class C", "lock"),
    "a module without source": (
        "import sys, types\nm = types.ModuleType('made_by_hand')\nsys.modules['made_by_hand'] = m\ndef f(): return m",
        "the global 'm' of function f is the module made_by_hand, which has no source that could be sent",
        "",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_travel_is_named_with_who_has_it(ground: Ground, what: str) -> None:
    cell, who, why = WRONG[what]
    ground.run(cell)
    try:
        with pytest.raises(EncodeError) as caught:
            ground.there(ground["f"])
        text = str(caught.value)
        assert "function f (defined in notebook_" in text
        assert who in text
        assert why in text
        assert "cloudpickle" not in text
        assert "NotPortable" not in text
        with pytest.raises(EncodeError, match="cannot travel"):  # it is as wrong the second time
            ground.there(ground["f"])
    finally:
        for name in ("s", "log"):
            if name in ground.notebook.names:
                ground[name].close()
        if "d" in ground.notebook.names:
            ground["d"]["log"].close()
        import sys

        sys.modules.pop("made_by_hand", None)


def test_what_is_repaired_travels(ground: Ground) -> None:
    ground.run("import threading\nlock = threading.Lock()\ndef g(): return lock\ndef f(): return g()")
    with pytest.raises(EncodeError):
        ground.there(ground["f"])
    ground.run("lock = 3")
    assert ground.there(ground["f"])() == 3


def test_a_large_captured_value_is_told_once_with_name_and_size(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.run("big = list(range(1_000_000))\ndef f(): return len(big)\ndef g(): return big")
    for _ in range(2):
        ground.there((ground["f"], ground["g"]))
    ground.run("big.append(1)")
    ground.there(ground["f"])
    (record,) = [one for one in caplog.records if one.name == "beampy.code"]
    assert record.levelno == logging.WARNING
    assert "'big' of function f" in record.getMessage()
    assert "4.9 MB" in record.getMessage()


def test_a_value_below_the_limit_is_not_worth_a_word(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    ground.run("data = bytes(1_000_000)\ndef f(): return len(data)")
    ground.there(ground["f"])
    assert not [one for one in caplog.records if one.name == "beampy.code"]


# threads


def test_many_threads_that_read_one_version_get_one_class(ground: Ground) -> None:
    ground.run(SHAPES + "\n    def f(): return [Point, Color, Box, Pair, Made]\n    n = 0")
    with ThreadPoolExecutor(8) as pool:
        for n in range(10):
            ground.run(f"n = {n}\ndef f(): return [Point, Color, Box, Pair, Made, n]\nclass Point: n = {n}")
            connections = [Connection(ground.home, ground.away) for _ in range(8)]
            bodies = [each.encode(ground.home, ground["f"]) for each in connections]
            start = threading.Barrier(8)

            def read(connection: Connection, body: Any, start: threading.Barrier = start) -> Any:
                start.wait(10)
                return connection.decode(ground.away, body)

            there = [
                each.result(20) for each in [pool.submit(read, *pair) for pair in zip(connections, bodies, strict=True)]
            ]
            assert len({id(fn) for fn in there}) == 1
            assert there[0]()[-1] == n


def test_many_threads_that_write_at_once(ground: Ground) -> None:
    ground.run(SHAPES + "\n    n = []\n    def f(): return [Point, Color, Box, Pair, Made, len(n)]")
    processes = [ground.process(f"p{i}") for i in range(4)]
    connections = [Connection(ground.home, process) for process in processes]
    ends = threading.Event()

    def send(connection: Connection) -> int:
        sent = 0
        while not ends.is_set() or sent < 20:
            fn = connection.send(ground.home, ground["f"])
            assert fn()[0].__name__ == "Point"
            assert connection.send(connection.other[ground.home], fn) is ground["f"]
            sent += 1
        return sent

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(send, each) for each in connections]
        for _ in range(20):
            ground.run("n.append(1)\nclass Point: n = len(n)")
        ends.set()
        assert min(each.result(30) for each in running) >= 20


def test_a_build_that_fails_leaves_nothing_and_is_tried_again(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.run("class A: pass\nclass B(A):\n    def f(self): return g(), A\ndef g(): return value\nvalue = [1]")
    body = ground.connection.encode(ground.home, ground["B"])
    original = building._Building.make_value

    def fails(*args: Any) -> Any:
        raise MemoryError

    monkeypatch.setitem(building.MAKERS, "value", fails)
    with pytest.raises(MemoryError):
        ground.connection.decode(ground.away, body)
    built = ground.away.builder.built
    gc.collect()
    assert (len(built.objects), len(built.kept)) == (0, 0)
    monkeypatch.setitem(building.MAKERS, "value", original)
    there = ground.connection.decode(ground.away, body)
    assert there().f() == ([1], there.__base__)
    assert len(weakref.WeakSet([there])) == 1


def test_pickle_knows_what_was_built(ground: Ground) -> None:
    """Libraries there pickle instances themselves: their class is found under the name that it has there."""
    ground.run(SHAPES)
    point, color = ground.there(ground["given"][:2])
    again = pickle.loads(pickle.dumps([point, color]))
    assert again[0] == point
    assert type(again[0]) is type(point)
    assert again[1] is color


# what was built before may go at any time


def test_what_a_definition_refers_to_may_be_collected_while_it_is_loaded(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what was built only the newest by a name is kept; a thing that nothing else has can go at any moment."""
    ground.run("""
        def counter(n):
            def count(): return n
            return count
        g = counter(1)
        def f(): return g()
    """)
    ground.there(ground["g"])
    builder, build = ground.away.builder, building.Builder.build

    def collecting(self: building.Builder, *args: Any) -> Any:
        builder.built.kept.clear()
        gc.collect()
        return build(self, *args)

    monkeypatch.setattr(building.Builder, "build", collecting)
    assert ground.there(ground["f"])() == 1


def test_what_it_refers_to_may_mean_something_else_by_then(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.run("def g(): return 1\ndef f(): return g()")
    version = ground.version("g")
    ground.there(ground["g"])
    builder, build, get = ground.away.builder, building.Builder.build, building.Builder.get
    gone: list[bytes] = []

    def losing(self: building.Builder, *args: Any) -> Any:
        if not gone:  # once, after it was seen to be there
            gone.append(version)
        return build(self, *args)

    def lost(self: building.Builder, one: bytes) -> Any:
        return None if self is builder and gone == [one] else get(self, one)

    monkeypatch.setattr(building.Builder, "build", losing)
    monkeypatch.setattr(building.Builder, "get", lost)
    assert ground.there(ground["f"])() == 1
