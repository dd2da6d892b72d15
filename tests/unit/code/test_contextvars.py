"""Context variables in messages: a ContextVar of one process is one and the same in another, however it came there."""

from __future__ import annotations

import asyncio
import decimal
import gc
import sys
from contextvars import Context, ContextVar
from types import ModuleType
from typing import Any

import pytest

from beampy.code import contextvars
from beampy.code.contextvars import at, default, variable, where
from beampy.errors import EncodeError
from beampy.otp import task
from beampy.wire.codec import NeedsImport
from tests.unit.code.cells_ground import Connection, Ground, ground, notebook

__all__ = ["ground", "notebook"]

VARS = """
    from contextvars import ContextVar
    plain = ContextVar("plain")
    given = ContextVar("given", default=["g"])
    one, two = ContextVar("same"), ContextVar("same")
    def get(): return plain.get()
    def which(): return plain
    def both(): return one, two
    """


@pytest.fixture
def module() -> Any:
    """A function that makes modules by hand."""
    made = []

    def make(name: str, **names: Any) -> ModuleType:
        there = sys.modules[name] = ModuleType(name)
        vars(there).update(names)
        made.append(name)
        return there

    yield make
    for name in made:
        sys.modules.pop(name, None)


# which one it is


def test_a_function_finds_the_variable_that_a_message_brings(ground: Ground) -> None:
    ground.run(VARS)
    var, get = ground.there((ground["plain"], ground["get"]))
    assert var is not ground["plain"]
    assert type(var) is ContextVar
    assert var.name == "plain"

    def run() -> Any:
        var.set("carried")
        return get()

    assert Context().run(run) == "carried"


def test_it_is_one_variable_over_all_messages_and_functions(ground: Ground) -> None:
    ground.run(VARS)
    kept = Context()
    first = ground.there(ground["plain"])
    kept.run(first.set, "kept")
    del first
    gc.collect()  # nothing there has it now but a context, and a later message means it
    ground.run("def later(): return plain")
    messages: list[Any] = [ground["plain"], {"deep": [(ground["plain"],)]}, ground["which"], ground["later"]]
    there = [*map(ground.there, messages)]
    found = [there[0], there[1]["deep"][0][0], there[2](), there[3]()]
    assert [kept.run(var.get, "another") for var in found] == ["kept"] * 4


def test_the_second_message_brings_its_version_only(ground: Ground) -> None:
    ground.run(VARS)
    ground.there(ground["plain"])
    assert ground.sent == [("value", "plain")]
    ground.there(ground["plain"])
    assert ground.sent == []
    assert ground.connection.size < 64


def test_it_comes_home_as_itself(ground: Ground) -> None:
    ground.run(VARS)
    there = ground.there([ground["plain"], ground["given"], ground["which"]])
    back = ground.back(there)
    assert back[0] is ground["plain"]
    assert back[1] is ground["given"]
    assert ground.back(there[2]()) is ground["plain"]


def test_a_third_process_has_one_of_the_first_however_it_comes(ground: Ground) -> None:
    ground.run(VARS)
    direct = ground.process("third")
    (var,) = ground.there((ground["plain"],))
    far = ground.connection.other[ground.home]
    assert far is direct
    away = ground.process("away again")  # connected with home
    second = ground.there(ground["plain"])
    between = Connection(away, direct)
    assert between.send(away, second) is var
    assert between.send(away, ground.there(ground["which"]))() is var


def test_two_of_one_name_in_a_module_are_two_there(ground: Ground) -> None:
    ground.run(VARS)
    one, two = ground.there(ground["both"])()
    assert one is not two
    assert one.name == two.name == "same"
    assert ground.there([ground["one"], ground["two"], ground["one"]]) == [one, two, one]


def test_a_cell_that_is_run_again_makes_none_that_is_new_there(ground: Ground) -> None:
    ground.run(VARS)
    before, old = ground["plain"], ground.there(ground["plain"])
    ground.run(VARS)
    assert ground["plain"] is not before
    assert ground.there(ground["plain"]) is old
    assert ground.there(ground["which"])() is old
    assert ground.back(old) is ground["plain"]


def test_one_that_was_put_under_another_name_before_is_another_one(ground: Ground) -> None:
    ground.run('from contextvars import ContextVar\nx = ContextVar("x")\ndef get(): return x')
    ground.there(ground["x"])
    ground.run('old = x\nx = ContextVar("x")')
    old, new = ground.there([ground["old"], ground["x"]])
    assert old is not new
    assert ground.there(ground["get"])() is new


def test_one_of_a_class_is_that_of_the_class(ground: Ground) -> None:
    cell = """
        from contextvars import ContextVar
        class Request:
            id = ContextVar("request id")
            def get(self): return self.id
        class Sub(Request): pass
        """
    ground.run(cell)
    assert where(ground["Request"].id) == (ground.notebook.module.__name__, "Request.id")
    cls = ground["Request"]
    there = ground.there(cls.id)
    assert ground.there(cls()).get() is ground.there(cls).id is ground.there(ground["Sub"]).id is there
    assert ground.back(there) is cls.id
    ground.run(cell)
    assert ground["Request"].id is not cls.id
    assert ground.there(ground["Request"].id) is there


def test_those_that_no_module_has_are_told_apart(ground: Ground) -> None:
    ground.run("""
        from contextvars import ContextVar
        def make():
            var = ContextVar("x")
            return var, lambda: var
        """)
    var, get = ground["make"]()
    other, _ = ground["make"]()
    there, there_get, there_other = ground.there((var, get, other))
    assert there_get() is there
    assert there_other is not there
    assert ground.back([there, there_other]) == [var, other]


# defaults


def test_a_default_travels_and_none_is_none(ground: Ground) -> None:
    ground.run(VARS)
    plain, given = ground.there((ground["plain"], ground["given"]))
    with pytest.raises(LookupError):
        Context().run(plain.get)
    assert Context().run(given.get) == ["g"]
    assert Context().run(given.get) is not ground["given"].get()


def test_what_a_context_holds_here_is_no_default(ground: Ground) -> None:
    ground.run(VARS)
    ground["plain"].set("here")
    ground["given"].set("here")
    plain, given = ground.there((ground["plain"], ground["given"]))
    assert (plain.get("nothing"), given.get()) == ("nothing", ["g"])


def test_another_default_is_another_variable(ground: Ground) -> None:
    ground.run('from contextvars import ContextVar\nv = ContextVar("v", default=1)\ndef get(): return v')
    old = ground.there(ground["get"])()
    ground.run('v = ContextVar("v", default=2)')
    new = ground.there(ground["get"])()
    assert (old.get(), new.get()) == (1, 2)


def test_a_default_that_is_changed_is_seen(ground: Ground) -> None:
    ground.run(VARS)
    old = ground.there(ground["given"])
    assert ground.there(ground["given"]) is old
    Context().run(ground["given"].get).append("more")
    assert ground.there(ground["given"]).get() == ["g", "more"]
    assert old.get() == ["g"]


def test_a_default_of_a_class_of_the_cell(ground: Ground) -> None:
    ground.run("""
        from contextvars import ContextVar
        class Settings:
            level = 3
        current = ContextVar("current", default=Settings())
        def get(): return current.get()
        """)
    got = ground.there(ground["get"])()
    assert got.level == 3
    assert type(got) is ground.there(ground["Settings"])


def test_a_default_that_cannot_travel_is_named(ground: Ground) -> None:
    ground.run("""
        import threading
        from contextvars import ContextVar
        guard = ContextVar("guard", default=threading.Lock())
        def get(): return guard
        """)
    for thing in ("get", "guard"):
        with pytest.raises(EncodeError, match=r"ContextVar guard.*lock"):
            ground.there(ground[thing])


# where it belongs


def test_one_of_an_installed_module_is_its_own_there(ground: Ground) -> None:
    ground.run("from beampy.otp.task import _callers\ndef get(): return _callers")
    assert ground.there(ground["_callers"]) is task._callers
    assert ground.there([ground["get"]])[0]() is task._callers
    assert ("function", "get") in ground.sent
    assert not any(kind == "value" for kind, _ in ground.sent)


def test_it_is_looked_for_in_the_module_that_others_can_have(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    var: ContextVar[int] = ContextVar("x")
    module("hand_made", x=var)
    monkeypatch.setattr(decimal, "theirs", var, raising=False)
    assert where(var) == ("decimal", "theirs")


def test_names_that_notebooks_give_are_not_taken(module: Any) -> None:
    var: ContextVar[int] = ContextVar("x")
    module("hand_made", _=var, __=var, _12=var, kept=var)
    assert where(var) == ("hand_made", "kept")


def test_odd_modules_are_no_harm(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Rude:
        def __eq__(self, other: object) -> bool:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]

    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError

    var: ContextVar[int] = ContextVar("x")
    monkeypatch.setitem(sys.modules, "odd_none", None)
    monkeypatch.setitem(sys.modules, "odd_lazy", Lazy("odd_lazy"))
    module("odd_rude", a=Rude(), b=var)
    assert where(var) == ("odd_rude", "b")


def test_it_is_looked_for_once(monkeypatch: pytest.MonkeyPatch, ground: Ground) -> None:
    ground.run(VARS)
    ground.there((ground["plain"], unbound := ContextVar[int]("x")))

    def never(var: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(contextvars, "_home", never)
    ground.there((ground["plain"], unbound))
    assert variable(unbound) is variable(unbound)


def test_one_that_has_lost_its_name_is_looked_for_once_more(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    var: ContextVar[int] = ContextVar("x")
    there = module("hand_made", x=var)
    assert where(var) == ("hand_made", "x")
    there.x = None
    assert where(var) == ("hand_made", "x")
    asked: list[Any] = []
    monkeypatch.setattr(contextvars, "_home", asked.append)
    assert where(var) == ("hand_made", "x")
    assert asked == []


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contextvars, "_known", type(contextvars._known)())
    monkeypatch.setattr(contextvars, "KNOWN", 2)
    some: list[ContextVar[int]] = [ContextVar(name) for name in "abc"]
    first = variable(some[0])
    variable(some[1])
    assert variable(some[0]) is first  # the latest that was used
    variable(some[2])
    assert [*contextvars._known] == [id(some[0]), id(some[2])]


async def test_on_a_loop_nothing_is_imported_for_one() -> None:
    with pytest.raises(NeedsImport):
        at("wave_that_is_nowhere", "x")
    assert at("beampy.otp.task", "_callers") is task._callers
    assert at("beampy.otp.task", "Task.spawn") == task.Task.spawn
    with pytest.raises(ModuleNotFoundError):
        await asyncio.to_thread(at, "wave_that_is_nowhere", "x")


def test_default_says_nothing_of_the_context_it_is_asked_in() -> None:
    var: ContextVar[int] = ContextVar("x", default=1)
    var.set(2)
    assert default(var) == (1,)
