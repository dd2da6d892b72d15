"""What functions capture together: which values share an object, and what a change of that makes."""

from __future__ import annotations

import logging

import pytest

from beampy.code import captured
from beampy.code.captured import Captured, Values
from tests.unit.code.cells_ground import Ground, ground, notebook

__all__ = ["ground", "notebook"]


def memo(*objects: object) -> dict[int, tuple[int, object]]:
    return {id(one): (at, one) for at, one in enumerate(objects)}


def one(name: str, of: dict[str, object]) -> Values:
    return Values([(of, name)], "f", "m")


def test_values_that_share_an_object_are_put_together_through_others() -> None:
    names: dict[str, object] = {}
    a, b, c, d = (one(name, names) for name in "abcd")
    first: list[int]
    second: list[int]
    first, second = [], []
    found = Captured()
    made = found.compare([(a, memo(first)), (b, memo("x")), (c, memo(second)), (d, memo(first, second))])
    assert [[name for _, name in each.members] for each in made] == [["a", "c", "d"]]
    assert [found.is_apart(each) for each in (a, b, c, d, made[0])] == [True, False, True, True, False]


def test_values_that_share_a_text_stay_alone() -> None:
    names: dict[str, object] = {}
    text = "text" * 9
    assert Captured().compare([(one("a", names), memo(text)), (one("b", names), memo(text))]) == []


def test_too_large_values_are_not_compared_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(captured, "MOST", 2)
    names: dict[str, object] = {}
    shared: list[list[int]] = [[], [], []]
    found, written = Captured(), [(one("a", names), memo(*shared)), (one("b", names), memo(*shared))]
    with caplog.at_level(logging.WARNING, "beampy.code"):
        assert found.compare(written) == found.compare(written) == []
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [
        "the global 'a' of function f",
        "the global 'b' of function f",
    ]


def test_a_second_message_writes_no_memos_and_makes_no_version(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.run("a = b = [1]\ndef f(): return a, b\ndef g(): return f, a")
    version = ground.version("g")

    def never(*args: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Captured, "compare", never)
    assert ground.version("g") == version


def test_functions_that_capture_some_of_what_is_shared_have_the_same_object(ground: Ground) -> None:
    ground.run("a = b = []\ndef only(): return a\ndef both(): return a, b\ndef other(): return b")
    ground.there(ground["only"])
    a, b = ground.there(ground["both"])()
    assert a is b
    assert ground.there(ground["only"])() is a
    assert ground.there(ground["other"])() is a


def test_what_is_bound_anew_is_there_and_shares_nothing_any_more(ground: Ground) -> None:
    ground.run("a = b = [1]\ndef both(): return a, b")
    ground.there(ground["both"])
    ground.run("b = [1]")
    a, b = ground.there(ground["both"])()
    assert a == b == [1]
    assert a is not b
    ground.run("b = 7")
    assert ground.there(ground["both"])() == ([1], 7)
    ground.run("def b(): return 1")
    a, b = ground.there(ground["both"])()
    assert b is ground.there(ground["b"])
    ground.run("del b")
    with pytest.raises(NameError):
        ground.there(ground["both"])()


def test_values_that_begin_to_share_do_so_there(ground: Ground) -> None:
    ground.run("a, b = [1], [[1]]\ndef both(): return a, b")
    ground.there(ground["both"])
    ground.run("b = [a]")
    a, b = ground.there(ground["both"])()
    assert b[0] is a


def test_a_change_of_what_is_shared_is_one_new_version_of_all_that_has_it(ground: Ground) -> None:
    ground.run(
        "a = []\nb = {'a': a}\ndef f(): return a\ndef g(): return b\ndef both(): return f(), g()\ndef c(): return 1"
    )
    before = {name: ground.version(name) for name in ("f", "g", "both", "c")}
    before |= {name: ground.version(name) for name in ("f", "g")}  # now that both were seen together
    ground.run("a.append(1)")
    assert ground.there(ground["both"])() == ([1], {"a": [1]})
    after = {name: ground.version(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"f", "g", "both"}


def test_what_cannot_travel_names_its_variable(ground: Ground) -> None:
    ground.run("import threading\na = [threading.Lock()]\nb = [a]\ndef f(): return a, b")
    with pytest.raises(Exception, match=r"the global '[ab]' of function f"):
        ground.there(ground["f"])


def test_what_is_found_later_to_be_shared_is_so_for_all_functions(ground: Ground) -> None:
    ground.run("a = []\nb = [a]\nc = [b]\ndef ga(): return a\ndef gb(): return b\ndef gc(): return c")
    ground.run("def ab(): return a, b\ndef bc(): return b, c")
    for name in ("ga", "gb", "gc", "ab", "bc", "gc", "ga"):
        ground.there(ground[name])
    b, c = ground.there(ground["bc"])()
    a, again = ground.there(ground["ab"])()
    assert c[0] is b is again
    assert b[0] is a is ground.there(ground["ga"])()
    assert ground.there(ground["gc"])() is c


def test_a_default_that_is_a_global_too_is_told_once(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    ground.run("import functools\nstate, other = [], []\ndef f(x, held=state, *, text='a'): return held")
    ground.run("def deco(fn):\n    @functools.wraps(fn)\n    def w(): return fn(state)\n    return w")
    ground.run("@deco\ndef plain(x): return x, other\ndef g(): return f(1), state, other, plain()")
    with caplog.at_level(logging.WARNING, "beampy.code"):
        for _ in range(2):
            ground.there(ground["g"])
            ground.run("other = []")
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [
        "function f and the global 'state' of function g"
    ]
