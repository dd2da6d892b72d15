"""`ref.do` and `ref.keep`: paths, calls, items, and what is refused."""

from __future__ import annotations

import asyncio
import copy
import operator
import pickle
from typing import Any

import pytest

import beampy as bp
from beampy.errors import RemoteTraceback
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import Shelf, at, between, refs_at, shelf


def nested() -> bp.RemoteRef[Shelf]:
    outer = Shelf(1, {"a": [10, 20]})
    outer.inner = Shelf(5, 6)
    return bp.remote(outer)


@between
async def test_a_method_is_called_there_and_its_value_comes_back():
    ref = await shelf(at("b"), 1)
    assert await ref.do.add(2, 3, named=4) == 4
    assert await ref.do.items == [1, 2, 3, ("named", 4)]
    assert await ref.do.where() == at("b")
    assert await ref.do.wait(0) == [1, 2, 3, ("named", 4)]


@between
async def test_keywords_pass_through_whole():
    ref = await shelf(at("b"))
    given = {"held": 1, "steps": 2, "self": 3, "fn": 4, "timeout": 5, "keep": 6}

    def named(there: Shelf, /, **kwargs: Any) -> Any:
        return kwargs

    assert await ref.do(named, **given) == given
    assert await ref.do.add(**{key: value for key, value in given.items() if key != "self"}) == 5


@between
async def test_a_path_is_one_message():
    ref = await bp.remote_call(at("b"), nested)
    assert await ref.do.inner.add(7) == 3
    assert await ref.do.inner.items[1:] == [6, 7]
    assert await ref.do[1]["a"][-1] == 20
    assert await ref.do.items[1]["a"].index(20) == 1


@between
async def test_calls_begin_when_they_are_made():
    ref = await shelf(at("b"), 1)
    first, second = ref.do.add(2), ref.do.add(3)
    assert [await second, await first] == [3, 2]
    assert await asyncio.gather(ref.do.first, ref.do.items, ref.do.inner) == [1, [1, 2, 3], None]


@between
async def test_attributes_are_looked_up_once_and_not_on_the_loop():
    ref = await shelf(at("b"), 1)
    path = ref.do.first
    assert await ref.do.looked == 0
    assert await path == 1
    assert await path == 1  # a path is a description: each await asks again
    assert await ref.do.looked == 2


@between
async def test_arguments_that_are_references_become_the_objects():
    ref, other = await shelf(at("b"), 1), bp.remote([7])
    assert await ref.do.__setitem__(0, other) is None
    assert await ref.do.items == [[7]]
    index = bp.remote(0)
    assert await ref.do[index] == [7]
    assert await ref.do.add([other]) == 2
    assert await ref.apply(lambda there: type(there.items[1][0]).__name__) == "RemoteRef"
    await ref.apply(lambda there: there.items.clear())


@between
async def test_keep_leaves_the_value_there(nodes: Cluster):
    ref = await shelf(at("b"), 1, 2)
    kept = await ref.keep.sibling()
    assert (kept.node, kept.what) == (at("b"), f"{Shelf.__module__}.Shelf")
    assert await kept.do.items == [2, 1]
    part = await ref.keep.items[:1]
    assert await part.get() == [1]
    attribute = await ref.keep.items
    await attribute.do.append(9)
    assert await ref.do.items == [1, 2, 9]
    assert [row.label for row in refs_at(nodes, "b").rows()] == [None, "sibling", "items[:1]", "items"]


@between
async def test_keep_of_a_reference_is_that_reference():
    mine = bp.remote([1])
    ref = await shelf(at("b"), [mine])
    assert await ref.keep(lambda there: there.items[0][0]) == mine


@between
async def test_operators_are_called_by_name():
    ref = await bp.put([1, 2], node=at("b"))
    assert await ref.do.__len__() == 2
    assert await ref.do.__contains__(2) is True
    assert await ref.do.__mul__(2) == [1, 2, 1, 2]
    kept = await ref.keep.__add__([3])
    assert await kept.get() == [1, 2, 3]
    fn = await bp.remote_call(at("b"), lambda: bp.remote(Callable()))
    assert await fn.do(operator.call, 5) == 6


class Callable:
    def __call__(self, n: int) -> int:
        return n + 1


@between
async def test_a_generator_stays_where_it_is():
    ref = await shelf(at("b"), 1, 2)
    with pytest.raises(TypeError, match=r"rows gives a generator, which stays on its node: .*ref\.apply\(fn\)"):
        await ref.do.rows()
    kept = await ref.keep.rows()
    assert await kept.do.__next__() == 1
    assert await kept.apply(list) == [2]


@between
async def test_what_is_raised_there_is_raised_here():
    ref = await shelf(at("b"), 1)
    with pytest.raises(KeyError, match="lost") as caught:
        await ref.do.fail("lost")
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "def fail" not in str(caught.value)
    with pytest.raises(AttributeError, match="'Shelf' object has no attribute 'nothing'"):
        await ref.do.nothing
    with pytest.raises(TypeError, match="not callable"):
        await ref.do.items()
    with pytest.raises(IndexError):
        await ref.do[99]


@pytest.mark.loops("asyncio", "uvloop")  # a simulated loop runs threads inline
@between
async def test_cancelling_ends_it_there(nodes: Cluster):
    ref = await shelf(at("b"), 1)
    for call in (ref.do.wait(3600.0), ref.do.slow()):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await call

    def calls() -> int:
        processes = nodes.nodes["b"]._core.processes.values()
        return sum(1 for process in processes if process._extras and "serving" in str(process._extras.label))

    await until(calls, 0)


# --- what is refused


@pytest.mark.parametrize("name", ["_private", "__dict__x", "__wrapped__", "_repr_html_", "__array__", "__dataframe__"])
@between
async def test_names_of_python_and_private_ones_are_not_passed_on(name: str):
    ref = bp.remote(Shelf())
    with pytest.raises(AttributeError, match=rf"{name!r} is not passed on.*ref\.apply"):
        getattr(ref.do, name)
    assert not hasattr(ref.do.items, name)


@pytest.mark.parametrize(
    ("use", "error", "says"),
    [
        (lambda do: bool(do.first), TypeError, r"ref\.do\.first is elsewhere and has no truth here: await it"),
        (lambda do: do.first == 1, TypeError, r"ref\.do\.first is elsewhere and equals nothing here"),
        (lambda do: list(do.items), TypeError, r"ref\.do\.items is elsewhere: await ref\.apply\(list\)"),
        (lambda do: 1 in do.items, TypeError, "not iterable"),
        (lambda do: setattr(do, "first", 1), AttributeError, r"await ref\.apply\(setattr, 'first', value\)"),
        (lambda do: do.items.__class__.__setitem__, AttributeError, "__setitem__"),
        (lambda do: do(), TypeError, r"ref\.do\(\) wants a function of the object"),
        (lambda do: do(5), TypeError, r"ref\.apply: needs a function of the object.*not a int"),
        (lambda do: pickle.dumps(do.first), TypeError, r"ref\.do\.first cannot travel"),
        (lambda do: copy.deepcopy(do.first), TypeError, r"ref\.do\.first cannot travel"),
        (lambda do: len(do), TypeError, "no len"),
    ],
    ids=["truth", "equal", "iteration", "in", "assignment", "item", "call", "no function", "pickle", "copy", "len"],
)
@between
async def test_what_needs_an_answer_at_once_is_refused(use: Any, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        use(bp.remote(Shelf(1)).do)


@between
async def test_awaiting_nothing_of_it():
    with pytest.raises(TypeError, match=r"await ref\.do: say what of it.*await ref\.get\(\)"):
        await bp.remote(Shelf()).do


@between
async def test_it_is_shown_as_it_is_written():
    ref = bp.remote(Shelf())
    assert repr(ref.do) == "ref.do"
    assert repr(ref.do.a.b[0]["x"]) == "ref.do.a.b[0]['x']"
    assert repr(ref.keep[1:2, ::3]) == "ref.keep[(slice(1, 2, None), slice(None, None, 3))]"
    assert len(repr(ref.do["x" * 500])) < 100
    assert {ref.do: 1}  # a path may be a key, as gather wants of what it is given
