"""Globals that functions assign: one binding for all of a module, and bound anew as the origin does."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.unit.code.cells_ground import Connection, Ground, Notebook, Process, ground, notebook

__all__ = ["ground", "notebook"]

COUNTER = """
    n = 0
    def inc():
        global n
        n += 1
        return n
    def get(): return n
    def both(): return inc(), get()
    def other(): return 1
    """


def test_what_is_assigned_there_lasts_from_call_to_call(ground: Ground) -> None:
    ground.run(COUNTER)
    assert [ground.there(ground["both"])() for _ in range(2)] == [(1, 1), (2, 2)]
    assert ground.there(ground["get"])() == 2
    assert ground["n"] == 0


def test_a_global_that_is_bound_anew_at_home_is_so_there(ground: Ground) -> None:
    ground.run(COUNTER)
    ground.there(ground["both"])()
    ground.run("n = 10")
    assert ground.there(ground["both"])() == (11, 11)
    ground.run("n = 0")  # a version that is there: it means what it says
    assert ground.there(ground["both"])() == (1, 1)
    ground.run("n = False")
    assert ground.there(ground["get"])() is False
    ground.run("del n")
    with pytest.raises(NameError):
        ground.there(ground["get"])()


def test_a_value_that_is_bound_again_is_there_again(ground: Ground) -> None:
    ground.run("def set():\n    global v\n    v = [*v, 0]\n    return v\nv = first = [1]")
    assert ground.there(ground["set"])() == [1, 0]
    ground.run("v = [2]")
    assert ground.there(ground["set"])() == [2, 0]
    gc.collect()
    ground.run("v = first")
    assert ground.there(ground["set"])() == [1, 0]


def test_a_helper_that_is_run_again_is_called_and_the_count_goes_on(ground: Ground) -> None:
    ground.run("n = 0\ndef step(): return 1\ndef inc():\n    global n\n    n += step()\n    return n")
    assert ground.there(ground["inc"])() == 1
    ground.run("def step(): return 10")
    assert ground.there(ground["inc"])() == 11
    ground.run("def step(): return 1")
    assert ground.there(ground["inc"])() == 12


def test_a_function_that_begins_to_assign_shares_with_those_that_read(ground: Ground) -> None:
    ground.run("n = 1\ndef get(): return n")
    assert ground.there(ground["get"])() == 1
    ground.run("def set():\n    global n\n    n = 5\n    return get()")
    assert ground.there(ground["set"])() == 5
    assert ground.there(ground["get"])() == 5


def test_functions_that_nobody_assigns_for_have_globals_of_their_own(ground: Ground) -> None:
    ground.run(COUNTER)
    both, other, get = ground.there([ground["both"], ground["other"], ground["get"]])
    inc = both.__globals__["inc"]
    assert inc.__globals__ is get.__globals__
    assert other.__globals__ is not inc.__globals__
    assert both.__globals__ is not inc.__globals__


def test_a_counter_makes_no_version_but_by_what_it_is_at_home(ground: Ground) -> None:
    ground.run(COUNTER)
    before = {name: ground.version(name) for name in ("inc", "get", "both", "other")}
    assert {name: ground.version(name) for name in before} == before
    ground.run(COUNTER)
    assert {name: ground.version(name) for name in before} == before
    ground["inc"]()
    after = {name: ground.version(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"inc", "get", "both"}


def test_what_comes_home_is_the_function_that_was_sent(ground: Ground) -> None:
    ground.run(COUNTER)
    both = ground.there(ground["both"])
    assert ground.back(both) is ground["both"]
    assert ground.back(both.__globals__["inc"]) is ground["inc"]
    made = ground.there(ground["get"])
    assert ground.back([made, lambda: made])[0] is ground["get"]


def test_two_modules_of_one_name_do_not_share(ground: Ground, notebook: Notebook) -> None:
    ground.run(COUNTER)
    again = dict(notebook.names)
    exec("n = 100\ndef inc():\n    global n\n    n += 1\n    return n", again)
    again["inc"].__qualname__ = "twice.<locals>.inc"
    assert ground.there(ground["inc"])() == 1
    assert ground.there(again["inc"])() == 101
    assert ground.there(ground["inc"])() == 2
    assert ground.there(again["inc"])() == 102


def test_redefined_functions_leave_nothing(ground: Ground) -> None:
    ground.run(COUNTER)
    old = weakref.ref(ground.there(ground["both"]).__globals__["inc"])
    ground.there(ground["inc"]).__globals__["n"] = 1000
    held = len(ground.away.builder.built.bound)
    for n in range(2, 20):
        ground.run(COUNTER.replace("n += 1", f"n += {n}"))
        assert ground.there(ground["both"])() == (1000 + sum(range(2, n + 1)),) * 2
    gc.collect()
    assert old() is None
    assert len(ground.away.builder.built.bound) <= held
    assert len(ground.away.builder.worlds) == 1


def test_a_class_that_assigns_shares_with_functions_that_were_there_before(ground: Ground) -> None:
    ground.run("n = 0\ndef get(): return n\ndef run(): return get()")
    assert ground.there(ground["run"])() == 0
    ground.run("class C:\n    def up(self):\n        global n\n        n += 1\n        return get()")
    assert ground.there(ground["C"])().up() == 1
    assert ground.there(ground["run"])() == 1


def test_a_builtin_that_is_shadowed_and_no_longer(ground: Ground) -> None:
    ground.run(
        """
        def f(x): return len(x)
        def shadow():
            global len
            len = lambda x: 99
        def both():
            shadow()
            return f("ab")
        """
    )
    assert ground.there(ground["both"])() == 99
    ground.run("len = lambda x: 5")
    assert ground.there(ground["f"])("ab") == 5
    ground.run("del len")
    assert ground.there(ground["f"])("ab") == 2


def test_what_is_sent_on_shares_as_it_does_here(ground: Ground) -> None:
    ground.run(COUNTER)
    both = ground.there(ground["both"])
    assert both() == (1, 1)
    third = Process("third")
    onward = Connection(ground.away, third).send(ground.away, both)
    assert onward.__globals__["inc"].__globals__["__name__"] != ground.notebook.module.__name__
    assert onward() == (1, 1)
