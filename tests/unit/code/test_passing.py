"""Functions that use remote references: these travel with each message, and nothing keeps them but who uses them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from beampy.code import passing
from beampy.code.passing import FIRST_LOOK, LAST_LOOK, Looks
from beampy.errors import EncodeError, OriginLost
from tests.unit.code.cells_ground import Ground, ground, notebook
from tests.unit.wire.lender import Thing

__all__ = ["ground", "notebook"]


def bind(ground: Ground, **values: Any) -> None:
    ground.notebook.names.update(values)


def test_a_global_travels_with_each_message(ground: Ground) -> None:
    ground.run("def f(): return ref")
    bind(ground, ref=Thing(1))
    there = ground.there(ground["f"])
    assert there() == Thing(1)
    assert ground.there((ground["f"], 1))[0] is there
    assert ground.connection.came(ground.away) == [[1], [1]]
    assert ground.sent == []


def test_through_helpers_classes_and_containers(ground: Ground) -> None:
    ground.run(
        """
        import functools
        def g(): return refs["two"]
        class C:
            held = None
            def get(self): return g(), ref
        @functools.lru_cache
        def h(): return ref
        def f(default=None): return C().get(), C.held, h(), default
        """
    )
    bind(ground, ref=Thing(1), refs={"two": [Thing(2)]})
    ground["C"].held = Thing(3)
    ground["f"].__defaults__ = (Thing(4),)
    assert ground.there(ground["f"])() == (([Thing(2)], Thing(1)), Thing(3), Thing(1), Thing(4))
    assert ground.connection.came(ground.away) == [[1, 2, 3, 4]]


def test_a_closure_that_uses_a_global(ground: Ground) -> None:
    ground.run(
        """
        def outer(n):
            def inner(): return ref, n
            return inner
        """
    )
    bind(ground, ref=Thing(1))
    assert ground.there(ground["outer"](5))() == (Thing(1), 5)
    assert ground.there([ground["outer"](6)])[0]() == (Thing(1), 6)
    assert ground.connection.came(ground.away) == [[1], [1]]


def test_another_reference_is_another_version(ground: Ground) -> None:
    ground.run("def f(): return ref")
    bind(ground, ref=Thing(1))
    first, version = ground.there(ground["f"]), ground.version("f")
    bind(ground, ref=Thing(2))
    assert ground.there(ground["f"])() == Thing(2)
    assert first() == Thing(1)
    bind(ground, ref=Thing(1))
    assert ground.version("f") == version
    bind(ground, ref="text")
    assert ground.there(ground["f"])() == "text"
    bind(ground, ref=len)
    assert ground.there(ground["f"])() is len


def test_it_is_the_same_object_as_in_the_message(ground: Ground) -> None:
    ground.run("def f(): return ref")
    ref = Thing(1)
    bind(ground, ref=ref)
    fn, same = ground.there((ground["f"], ref))
    assert fn() is same
    assert ground.connection.came(ground.away) == [[1]]


def test_there_nothing_is_kept_for_later(ground: Ground) -> None:
    ground.run("def g(): return ref\ndef f(): return g()\ndef other(): return 1")
    bind(ground, ref=Thing(1))
    there, other = ground.there((ground["f"], ground["other"]))
    ref = weakref.ref(there())
    kept = weakref.ref(other)
    assert ground.away.builder.built.standins
    del there, other
    gc.collect()
    assert ref() is None
    assert kept() is not None  # as any other definition
    assert not ground.away.builder.built.standins
    assert ground.there(ground["f"])() == Thing(1)  # built once more
    assert ground.away.code.passed == 2


def test_at_home_nothing_is_kept_of_what_was_bound(ground: Ground) -> None:
    ground.run("def f(): return ref, refs\ndef g(x=None): return x")
    one, two, three = Thing(1), Thing(2), Thing(3)
    bind(ground, ref=one, refs=[two])
    ground["g"].__defaults__ = (three,)
    for _ in range(2):
        ground.connection.encode(ground.home, (ground["f"], ground["g"]))
    seen = [weakref.ref(each) for each in (one, two, three)]
    lender: Any = ground.connection.ends[ground.home][1].carrier
    lender.lent.clear()
    gc.disable()  # nor is anything of them in a cycle
    try:
        del one, two, three
        bind(ground, ref=None, refs=None)
        ground["g"].__defaults__ = None
    finally:
        gc.enable()
    assert [each() for each in seen] == [None, None, None]
    assert ground.there(ground["f"])() == (None, None)


def test_what_was_built_of_references_goes_on_and_comes_home(ground: Ground) -> None:
    ground.run("def g(): return ref\ndef f(): return g()")
    bind(ground, ref=Thing(1))
    there = ground.there(ground["f"])
    assert ground.back(there)() == Thing(1)
    assert ground.connection.came(ground.home) == [[1]]
    third = ground.away
    other = ground.process("third")
    del third, other


def test_one_that_is_over_cannot_travel(ground: Ground) -> None:
    class Over(Thing):
        @property
        def id(self) -> Any:
            raise EncodeError("thing", "it was dropped")

    ground.run("def f(): return ref")
    bind(ground, ref=Over(1))
    with pytest.raises(EncodeError, match=r"global 'ref' of function f.*it was dropped"):
        ground.there(ground["f"])


def test_a_message_that_does_not_have_it_is_refused(ground: Ground) -> None:
    ground.run("def f(): return ref")
    bind(ground, ref=Thing(1))
    version = ground.version("f")
    hook = ground.connection.ends[ground.away][0]
    hook.origin = "0"
    with pytest.raises(OriginLost, match="did not come with it"):
        hook.load(version)


# when what was built is looked for


class Clock:
    """Timers that a test lets go off."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Any]] = []
        self.cancelled = 0

    def later(self, seconds: float, fn: Any) -> Any:
        self.timers.append((seconds, fn))
        return self

    def cancel(self) -> None:
        self.cancelled += 1
        self.timers.clear()

    def ring(self) -> float:
        [(seconds, fn)] = self.timers
        self.timers.clear()
        fn()
        return seconds


def test_it_looks_while_something_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "perf_counter", lambda: 0.0)  # no look takes long
    clock, there = Clock(), [1]
    looks = Looks(clock.later, lambda: bool(there))
    looks.soon()
    looks.soon()
    assert len(clock.timers) == 1
    waits = [clock.ring() for _ in range(8)]
    assert waits[:3] == [FIRST_LOOK, 2 * FIRST_LOOK, 4 * FIRST_LOOK]
    assert waits[-1] == LAST_LOOK
    there.clear()
    clock.ring()
    assert not clock.timers
    looks.close()


def test_a_look_frees_cycles() -> None:
    class Cycle:
        pass

    clock, alive = Clock(), weakref.WeakSet[Any]()
    cycle: Any = Cycle()
    cycle.itself = cycle
    alive.add(cycle)
    looks = Looks(clock.later, lambda: len(alive) > 0)
    looks.soon()
    gc.disable()
    try:
        del cycle
        clock.ring()
    finally:
        gc.enable()
    assert not alive
    assert not clock.timers
    looks.soon()
    looks.close()
    assert clock.cancelled == 1
