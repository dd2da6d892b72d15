"""RemoteRef: what a handle is, says and refuses; and how its object is brought here."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import threading
from typing import Any

import pytest

import beampy as bp
from beampy.errors import (
    BadFunction,
    CallTimeout,
    EncodeError,
    OwnerLost,
    RefDropped,
    RefExpired,
    RefTooLarge,
    RemoteTraceback,
    UnknownRef,
)
from beampy.refs import room, using
from beampy.refs.identity import ObjectId
from beampy.refs.ref import RemoteRef
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import Shelf, at, between, put_there, refs_at, shelf

real = pytest.mark.loops("asyncio", "uvloop")  # a simulated loop has no threads of its own


def rows_of(nodes: Cluster, name: str) -> list[Any]:
    return refs_at(nodes, name).rows()


# --- what it is


@between
async def test_it_says_what_it_refers_to_and_asks_nobody():
    ref = await bp.put(b"x" * 80_000_000, node=at("b"))
    assert repr(ref) == f"<RemoteRef bytes, 80 MB, on {at('b')}>"
    assert (ref.node, ref.what, ref.nbytes) == (at("b"), "bytes", 80_000_000)
    assert ref.id.node == at("b")
    assert ref


@between
async def test_handles_of_one_object_are_equal_and_those_of_others_are_not():
    shared = Shelf(1)
    ref, other = bp.remote(shared), bp.remote(Shelf(1))
    again = await bp.remote_call(at("b"), lambda refs: refs, [ref])
    assert again[0] is not ref
    assert again[0] == ref
    assert hash(again[0]) == hash(ref)
    assert ref != other
    assert len({ref, again[0], other}) == 2
    assert ref != shared
    assert (ref == ref.id) is False


@between
async def test_a_copy_is_another_handle(nodes: Cluster):
    ref = await shelf(at("b"), 1)
    copies = copy.copy(ref), copy.deepcopy(ref), copy.deepcopy([ref])[0]
    ref.drop()
    for one in copies:
        assert one is not ref
        assert one == ref
        assert await one.do.items == [1]
    assert len(rows_of(nodes, "b")) == 1


@between
async def test_pickle_refuses_and_says_what_to_do():
    ref = bp.remote([1])
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=r"<RemoteRef list, .* cannot be pickled.*message.*await ref\.get\(\)"):
            pickle.dumps(ref, protocol)


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (len, r"len: <RemoteRef .*Shelf.* on .*> is a reference.*await ref\.do\.__len__\(\)"),
        (lambda ref: ref[0], r"indexing: .*await ref\.do\[…\]"),
        (iter, r"iteration: .*await ref\.do\[start:stop\]"),
        (lambda ref: 1 in ref, r"`in`: .*await ref\.do\.__contains__\(…\)"),
        (lambda ref: ref(), "not callable"),
        (lambda ref: ref + 1, "unsupported operand"),
    ],
    ids=["len", "item", "iteration", "in", "call", "operator"],
)
@between
async def test_what_needs_the_object_is_refused(use: Any, says: str):
    ref = await shelf(at("b"), 1, 2)
    with pytest.raises(TypeError, match=says):
        use(ref)


@between
async def test_a_name_of_the_object_is_an_attribute_error_that_says_where_it_is():
    ref = await shelf(at("b"), 1)
    with pytest.raises(AttributeError, match=r"no attribute 'items'; the object's own is await ref\.do\.items"):
        _ = ref.items  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"no attribute '_private'$"):
        _ = ref._private  # type: ignore[attr-defined]
    assert not hasattr(ref, "shape")
    with pytest.raises(AttributeError):
        ref.anything = 1  # type: ignore[attr-defined]


# --- the end of a handle


@pytest.mark.parametrize(
    "use",
    [
        lambda ref: ref.drop(),
        lambda ref: ref.get(),
        lambda ref: ref.apply(len),
        lambda ref: ref.do.add(1),
        lambda ref: ref.keep.add(1),
        lambda ref: ref.id,
        lambda ref: copy.copy(ref),
        lambda ref: ref.__enter__(),
    ],
    ids=["drop", "get", "apply", "do", "keep", "id", "copy", "with"],
)
@between
async def test_use_after_drop(use: Any):
    ref = await shelf(at("b"), 1)
    ref.drop()
    with pytest.raises(RefDropped, match=rf"handle of .*Shelf, .* on {at('b')} was dropped.*copy\.copy\(ref\)"):
        use(ref)
    assert repr(ref).endswith(f"on {at('b')}: dropped>")
    assert ref == ref
    assert {ref: 1}[ref] == 1


@between
async def test_a_dropped_handle_cannot_be_sent():
    ref = await shelf(at("b"), 1)
    ref.drop()
    with pytest.raises(EncodeError, match="was dropped"):
        await bp.remote_call(at("b"), len, [ref])


@between
async def test_with_drops_at_its_end(nodes: Cluster):
    with await shelf(at("b"), 1) as ref:
        assert await ref.do.items == [1]
    await until(lambda: rows_of(nodes, "b"), [])
    with pytest.raises(RefDropped):
        ref.get()


@between
async def test_with_leaves_a_handle_alone_that_was_dropped_inside():
    with await shelf(at("b"), 1) as ref:
        ref.drop()


@between
async def test_a_use_goes_on_when_the_handle_is_dropped_meanwhile():
    ref = await shelf(at("b"), 1, 2)
    waiting, got = ref.do.wait(0.05), ref.get()
    ref.drop()
    assert await waiting == [1, 2]
    assert await got == Shelf(1, 2)


@between
async def test_a_failed_use_holds_nothing_longer_than_its_error(nodes: Cluster):
    """Without the help of the garbage collector: a table of references that waits for that is no promise."""
    gc.collect()
    gc.disable()
    try:
        ref = await shelf(at("b"), 1)
        with pytest.raises(AttributeError):
            await ref.do.nothing()
        with pytest.raises(KeyError):
            await ref.do.fail("x")
        del ref
        await until(lambda: [row.id for row in rows_of(nodes, "b")], [])
    finally:
        gc.enable()


# --- get


@between
async def test_get_is_a_copy_elsewhere_and_the_object_itself_at_home():
    mine = Shelf(1)
    ref = bp.remote(mine)
    assert await ref.get() is mine
    assert ref.get().result() is mine  # it is known at once, so nothing is waited for
    theirs = await shelf(at("b"), 1)
    first, second = await asyncio.gather(theirs.get(), theirs.get())
    assert first == second == Shelf(1)
    assert first is not second


@between
async def test_at_home_a_copy_that_comes_back_is_the_object():
    mine = Shelf(1)
    [back] = await bp.remote_call(at("b"), lambda refs: refs, [bp.remote(mine)])
    assert await back.get() is mine


@between
async def test_an_argument_is_the_object_and_what_is_inside_of_one_stays_a_reference():
    mine = bp.remote(Shelf(1))

    def look(there: Any, nested: Any, *, named: Any) -> Any:
        return type(there).__name__, there.items, type(nested[0]).__name__, named.items

    assert await bp.remote_call(at("b"), look, mine, [mine], named=mine) == ("Shelf", [1], "RemoteRef", [1])


@between
async def test_an_argument_from_a_third_node_comes_from_there():
    ref = await shelf(at("b"), 1)
    assert await bp.remote_call(at("c"), lambda there: there.items, ref) == [1]


@between
async def test_get_has_a_deadline():
    ref = await bp.remote_call(at("b"), lambda: bp.remote(SlowToLeave()))
    with pytest.raises(CallTimeout, match=rf"get of the .*SlowToLeave.* on {at('b')}"):
        await ref.get(timeout=0)
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match=r"ref\.get: timeout"):
            ref.get(timeout=wrong)


class SlowToLeave:
    pass


@between
async def test_an_object_that_cannot_travel_says_so_and_is_used_where_it_is():
    ref = await bp.remote_call(at("b"), lambda: bp.remote(threading.Lock()))
    with pytest.raises(
        EncodeError, match=rf"the _thread\.lock.* on {at('b')} cannot travel.*ref\.do\.method"
    ) as caught:
        await ref.get()
    assert any("raised in" in note for note in caught.value.__notes__)
    assert await ref.do.locked() is False
    with pytest.raises(EncodeError, match=r"argument|cannot travel"):
        await bp.remote_call(at("b"), lambda there: there, ref)


# --- what does not fit


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> int:
    """Nothing larger than this fits."""
    monkeypatch.setattr(using, "room", lambda: 100_000)
    monkeypatch.setattr(room, "own_memory", lambda: room.ENDLESS)
    return 100_000


def big_inside() -> bp.RemoteRef[Any]:
    return bp.remote({"rows": [bytes(60_000), bytes(60_000)]})


@between
async def test_an_object_that_does_not_fit_is_not_sent(little_room: int):
    ref = await bp.put(bytes(200_000), node=at("b"))
    with pytest.raises(RefTooLarge, match=r"the bytes on .* has 200000 bytes.*room for 100000.*ref\.apply") as caught:
        await ref.get()
    assert (caught.value.node, caught.value.nbytes, caught.value.room) == (at("b"), 200_000, little_room)
    assert isinstance(caught.value, MemoryError)
    assert await ref.do[:10] == bytes(10)


@between
async def test_what_it_has_inside_counts(little_room: int):
    ref = await bp.remote_call(at("b"), big_inside)
    with pytest.raises(RefTooLarge, match=r"the dict on .* bytes"):
        await ref.get()
    assert len(await ref.do["rows"]) == 2


@between
async def test_as_an_argument_it_does_not_fit_either(little_room: int):
    ref = await bp.put(bytes(200_000), node=at("b"))
    with pytest.raises(RefTooLarge):
        await bp.remote_call(at("c"), len, ref)


@between
async def test_at_home_there_is_always_room(little_room: int):
    assert len(await bp.remote(bytes(200_000)).get()) == 200_000


# --- trouble


@between
async def test_a_number_that_nobody_gave():
    ref = await shelf(at("b"), 1)
    wrong = ObjectId(at("b"), ref.id.creation, 99)
    hold, _ = ref.refs.holds.take(wrong)
    forged = RemoteRef(hold, "forged", 0)
    forged.hold  # noqa: B018
    # It cannot be sent, so it is asked for by name: whoever lies knows how.
    error = await bp.remote_call(at("b"), value_of, tuple(wrong))
    assert isinstance(error, UnknownRef)
    assert str(error).startswith(f"{at('b')} has no object 99: that node never had an object of this number")
    error = await bp.remote_call(at("b"), value_of, (at("b"), 5, 1))
    assert isinstance(error, OwnerLost)
    assert "that start of the node has ended" in str(error)
    error = await bp.remote_call(at("b"), value_of, (at("c"), 5, 1))
    assert "owns no object of that node" in str(error)


def value_of(id: Any) -> Any:
    from beampy import api
    from beampy.refs.service import refs_of

    try:
        refs_of(api.self_process().node).value(ObjectId(*id))
    except Exception as error:
        return error


@between
async def test_an_owner_that_stopped_is_said_at_once(nodes: Cluster):
    ref = await shelf(at("b"), 1)
    await nodes.down("b")
    await until(lambda: isinstance(using_trouble(ref), OwnerLost), True)
    with pytest.raises(OwnerLost, match=rf"the .*Shelf of \d+ B was on {at('b')}, which is lost: ") as caught:
        await ref.get()
    assert caught.value.node == at("b")
    assert repr(ref).endswith(f"on {at('b')}: lost>")
    for use in (lambda: ref.do.add(1), lambda: ref.apply(len), lambda: ref.keep.add(1)):
        with pytest.raises(OwnerLost):
            await use()
    with pytest.raises(OwnerLost):
        await bp.remote_call(at("c"), len, ref)


def using_trouble(ref: RemoteRef[Any]) -> Exception | None:
    return ref.refs.trouble(ref.id)


@between
async def test_a_call_whose_node_is_lost_says_that_it_may_come_back(nodes: Cluster):
    ref = await shelf(at("b"), 1)
    call = ref.do.wait(3600.0)
    assert await ref.do.items == [1]  # what was asked first has begun there
    nodes.nodes["a"]._peers.disconnect(at("b"))  # type: ignore[union-attr]
    with pytest.raises(OwnerLost, match=rf"on {at('b')}, which is lost: the connection .*comes back within the lease"):
        await call
    await until(lambda: nodes.run("a", bp.ping, at("b")), True)
    assert await ref.do.items == [1]


@between
async def test_an_expired_object_is_said_of_what_it_was():
    """The owner says it of a number; the user hears it of his object."""
    ref = await shelf(at("b"), 1)
    await bp.remote_call(at("b"), forget, ref.id.number)
    with pytest.raises(RefExpired, match=rf"the .*Shelf of .* is no longer on {at('b')}: it was freed there") as caught:
        await ref.get()
    assert isinstance(caught.value.__cause__, RemoteTraceback)


def forget(number: int) -> None:
    from beampy import api
    from beampy.refs.service import refs_of

    refs_of(api.self_process().node).objects.pop(number)


@between
async def test_a_failure_that_nobody_looks_at_is_logged(nodes: Cluster, caplog: pytest.LogCaptureFixture):
    ref = await shelf(at("b"), 1)
    await nodes.down("b")
    await until(lambda: isinstance(using_trouble(ref), OwnerLost), True)
    with caplog.at_level(logging.ERROR, "beampy.handle"):
        ref.get()
        gc.collect()
    assert [record.getMessage() for record in caplog.records if "nobody looked" in record.getMessage()] == [
        f"nobody looked at the failure of get of {ref.shown()}"
    ]


# --- apply


@between
async def test_apply_runs_a_function_of_the_object_where_it_is():
    ref = await shelf(at("b"), 3, 1)

    async def later(there: Shelf, *, n: int) -> Any:
        await asyncio.sleep(0)
        return there.items[n], bp.self().node

    assert await ref.apply(sorted) == [1, 3]
    assert await ref.apply(later, n=1) == (1, at("b"))
    assert await ref.apply("operator.length_hint") == 2
    assert await ref.apply(lambda there, other: there is other, ref) is True
    assert await ref.do(len) == 2
    kept = await ref.keep(lambda there, by: Shelf(*there.items, by), by=7)
    assert (kept.node, kept.what) == (at("b"), f"{Shelf.__module__}.Shelf")
    assert await kept.do.items == [3, 1, 7]


@between
async def test_apply_changes_the_object_itself():
    ref = await shelf(at("b"), 1)
    await ref.apply(setattr, "items", [5])
    assert await ref.apply(getattr, "items") == [5]


@pytest.mark.parametrize("fn", [5, None], ids=repr)
@between
async def test_apply_wants_a_function(fn: Any):
    ref = await shelf(at("b"), 1)
    with pytest.raises(BadFunction, match=r"ref\.apply: needs a function of the object.*ref\.do\.name"):
        ref.apply(fn)
    with pytest.raises(BadFunction, match=r"ref\.keep"):
        ref.keep(fn)


@between
async def test_apply_wants_one_value():
    ref = await shelf(at("b"), 1)

    def rows(there: Shelf) -> Any:
        yield from there.items

    with pytest.raises(BadFunction, match=r"a function that returns a list.*the generator .*rows"):
        ref.apply(rows)


@between
async def test_what_apply_raises_is_its_own_type_with_where_it_happened():
    ref = await shelf(at("b"), 1)
    with pytest.raises(ZeroDivisionError) as caught:
        await ref.apply(lambda there: 1 / 0)
    assert isinstance(caught.value.__cause__, RemoteTraceback)


# --- threads and other nodes


@real
@between
async def test_all_of_it_from_a_thread():
    ref = await shelf(at("b"), 1, 2)
    there = at("b")

    def work() -> Any:
        mine = bp.remote([1])
        put = bp.put([2], node=there).result(10)
        kept = ref.keep.sibling().result(10)
        return (
            mine.get().result(0),
            put.get().result(10),
            ref.do.add(3).result(10),
            ref.apply(getattr, "items").result(10),
            kept.apply(getattr, "items").result(10),
            len(bp.refs(there).result(10)),
        )

    assert await asyncio.to_thread(work) == ([1], [2], 3, [1, 2, 3], [2, 1], 3)


@real
@between
async def test_a_thread_of_nobodys_may_use_it():
    """A bare thread has no current process: the reference's own node speaks."""
    ref = await shelf(at("b"), 1, 2)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(ref.do.add(5).result(10)))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert found == [3]


@real
@between
async def test_a_handle_dropped_right_after_the_call_of_a_thread():
    ref = await shelf(at("b"), 1)

    def work() -> Any:
        handles = [copy.copy(ref) for _ in range(20)]
        calls = [handle.get() for handle in handles]
        for handle in handles:
            handle.drop()
        return [call.result(10).items for call in calls]

    assert await asyncio.to_thread(work) == [[1]] * 20


@between
async def test_result_on_the_loops_own_thread_is_refused():
    ref = await shelf(at("b"), 1)
    call = ref.get()
    with pytest.raises(RuntimeError, match="would block"):
        call.result()
    await call


@between
async def test_code_of_another_node_may_use_it(nodes: Cluster):
    """Two nodes in one program, and a reference that went from one to the other as a Python object."""
    ref = await shelf(at("b"), 1)
    assert await nodes.run("c", lambda: ref.do.where()) == at("b")


@between
async def test_a_node_that_is_alone_has_references_too():
    async def alone() -> Any:
        ref = await bp.put(Shelf(1))
        kept = await ref.keep.sibling()
        return await ref.do.add(2), await ref.do.items, await kept.get(), len(await bp.refs())

    assert put_there  # the module is there
    async with bp.Node() as node:
        assert await node.run(alone) == (2, [1, 2], Shelf(1), 2)


# --- an object that can be made again


@between
async def test_a_lost_object_is_made_again_where_that_is_known(nodes: Cluster):
    ref = await shelf(at("b"), 1)
    again: list[OwnerLost] = []

    async def rebuild(lost: OwnerLost) -> RemoteRef[Any]:
        again.append(lost)
        return await shelf(at("c"), 1)

    ref.hold.rebuild = rebuild
    assert await ref.do.where() == at("b")
    await nodes.down("b")
    await until(lambda: isinstance(using_trouble(ref), OwnerLost), True)
    assert await ref.do.where() == at("c")
    assert await ref.get() == Shelf(1)
    assert [lost.node for lost in again] == [at("b")] * 2


@between
async def test_a_rebuild_that_gives_up_is_its_users_failure(nodes: Cluster):
    ref = await shelf(at("b"), 1)

    async def rebuild(lost: OwnerLost) -> RemoteRef[Any]:
        raise lost

    ref.hold.rebuild = rebuild
    await nodes.down("b")
    await until(lambda: isinstance(using_trouble(ref), OwnerLost), True)
    with pytest.raises(OwnerLost):
        await ref.get()
