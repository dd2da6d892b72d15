"""Values that stay on their runners: who keeps them, what keeps the runner, and arguments that are references."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any, ClassVar

import pytest

import beampy as bp
from beampy import api
from beampy.errors import BadFunction, EncodeError, OwnerLost, PoolTimeout, RefDropped, RefExpired
from beampy.pool import keeping
from beampy.pool.nearness import near, owned, references
from beampy.pool.residents import residents
from beampy.pool.scatter import Piece
from beampy.refs.service import refs_of
from beampy.testing import harness
from beampy.testing.pool_backend import LoopBackend
from tests.unit.pool.ground import SEEN, double, pooled, until


class Box:
    """Something to be kept; its runner is on our own loop, so that one can see when it is freed."""

    alive: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()

    def __init__(self, value: Any) -> None:
        self.value = value
        Box.alive.add(self)

    def __reduce__(self) -> Any:
        return Box, (self.value,)

    def label(self) -> str:
        return f"box of {self.value}"


async def box(value: Any) -> Box:
    return Box(value)


async def opened(one: Box, *more: Any) -> tuple[str, Any, int]:
    """Where it runs, what is in it, and how many boxes there are at once."""
    return bp.node(), one.value, len(Box.alive)


async def kinds(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    return (*(type(arg).__name__ for arg in args), *(f"{name}={type(arg).__name__}" for name, arg in kwargs.items()))


def plain(one: Box) -> Any:
    return one.value


async def mine(value: int, *, keep: bool = False) -> tuple[int, bool]:
    return value, keep


async def swallow(value: int, **options: Any) -> tuple[int, dict[str, Any]]:
    return value, options


async def numbers(count: int) -> Any:
    for number in range(count):
        yield number


async def fails() -> None:
    raise ValueError("nothing to keep")


async def same(ref: Any) -> Any:
    return ref[0]


async def slowly(value: Any) -> Box:
    SEEN.append("begun")
    await asyncio.sleep(0.05)
    return Box(value)


def node_of(backend: LoopBackend, name: str) -> Any:
    return next(node for machine in backend.machines for node in backend.nodes(machine) if node.name == name)


def kept(backend: LoopBackend) -> list[str]:
    """What the runners are kept by."""
    return [
        residents(node._local).why()
        for machine in backend.machines
        for node in backend.nodes(machine)
        if node._local is not None
    ]


def objects(backend: LoopBackend) -> int:
    """How many objects the runners own."""
    return sum(len(refs_of(node._local).objects) for machine in backend.machines for node in backend.nodes(machine))


async def two_up(pool: bp.Pool) -> list[str]:
    pool.resize(min=2)
    await until(lambda: sum(runner["state"] == "up" for runner in pool.runners()) == 2)
    return [runner["node"] for runner in pool.runners()]


# the verbs


@pooled
async def test_a_kept_value_stays_on_its_runner() -> None:
    async with bp.Pool(backend=LoopBackend(), max=1) as pool:
        ref = await pool.keep(box, 7)
        assert isinstance(ref, bp.RemoteRef)
        assert ref.node == pool.runners()[0]["node"]
        assert ref.what.endswith("Box")
        assert await ref.do.label() == "box of 7"
        assert (await ref.get()).value == 7


@pooled
async def test_keep_is_said_in_four_ways() -> None:
    async with bp.Pool(backend=LoopBackend(), max=1) as pool:
        for handle in (
            pool.call(box, 1, keep=True),
            pool.submit(box, 2, keep=True),
            pool.options(keep=True).call(box, 3),
            pool.options(keep=True).submit("tests.unit.pool.test_keeping:box", 4),
            pool.call("tests.unit.pool.test_keeping:box", 5, keep=True),
            pool.remote(box)(6, keep=True),
            pool.put(Box(7)),
        ):
            assert isinstance(await handle, bp.RemoteRef)
        boxes = await pool.map(box, [1, 2, 3], keep=True)
        assert [await pool.call(plain, one) for one in boxes] == [1, 2, 3]
        sums = await pool.scatter(sum, range(10), 2, keep=True)
        assert [await ref.get() for ref in sums] == [10, 35]
        assert await pool.call(double, 4, keep=False) == 8


@pooled
async def test_keep_is_the_functions_where_that_has_such_a_parameter() -> None:
    async with bp.Pool(backend=LoopBackend(), max=1) as pool:
        assert await pool.call(mine, 1, keep=True) == (1, True)
        assert await (await pool.keep(mine, 1, keep=True)).get() == (1, True)
        assert isinstance(await pool.call(swallow, 1, keep=True, other=2), bp.RemoteRef)
        assert await pool.call(swallow, 1, keep=False, other=2) == (1, {"other": 2})
        with pytest.raises(TypeError, match="keep is True or False, not 'yes'"):
            pool.call(double, 1, keep="yes")


@pooled
async def test_generators_and_casts_keep_nothing() -> None:
    async with bp.Pool(backend=LoopBackend(), max=1) as pool:
        again = pool.options(keep=True)
        for attempt in (
            lambda: pool.keep(numbers, 3),
            lambda: again.call(numbers, 3),
            lambda: again.stream(numbers, 3),
            lambda: pool.call(numbers, 3, keep=True),
        ):
            with pytest.raises(BadFunction, match="its items come one by one"):
                attempt()
        with pytest.raises(TypeError, match="nobody would have the reference"):
            again.cast(double, 1)
        with pytest.raises(TypeError, match="rebuild is for values that are kept"):
            pool.options(rebuild=True).call(double, 1)
        with pytest.raises(ValueError, match="keep is True or False"):
            pool.options(keep=1)


@pooled
async def test_what_fails_keeps_nothing() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        with pytest.raises(ValueError, match="nothing to keep"):
            await pool.keep(fails)
        assert objects(backend) == 0
        with pytest.raises(PoolTimeout):
            await pool.options(timeout=0.05).keep(asyncio.sleep, 60)
        await until(lambda: kept(backend) == [""])
        assert objects(backend) == 0


@pooled
async def test_a_value_that_is_a_reference_is_given_as_it_is() -> None:
    async with bp.Pool(backend=LoopBackend(), max=1) as pool:
        ref = await pool.keep(box, 1)
        assert await pool.keep(same, [ref]) == ref
        assert await pool.call(same, [ref]) == ref


# arguments


@pooled
async def test_references_among_the_arguments_become_objects_and_nested_ones_stay() -> None:
    async with bp.Pool(backend=LoopBackend(), max=1) as pool:
        ref = await pool.keep(box, 1)
        assert await pool.call(kinds, ref, [ref], one=ref, two=(ref,)) == ("Box", "list", "one=Box", "two=tuple")
        assert await pool.call(plain, ref) == 1
        assert await pool.map(plain, [ref, ref]) == [1, 1]
        assert await pool.scatter(kinds, [ref, ref, ref], 2) == [("list",), ("list",)]
        assert await pool.scatter(opened_all, [ref, ref, ref], 2) == [[1, 1], [1]]
        assert [item async for item in pool.stream(pieces, ref)] == [1, 1]


async def opened_all(some: list[Box]) -> list[Any]:
    return [one.value for one in some]


async def pieces(one: Box) -> Any:
    yield one.value
    yield one.value


@pooled
async def test_on_its_own_runner_an_argument_is_the_object_itself_and_elsewhere_a_copy() -> None:
    async with bp.Pool(backend=LoopBackend(), max=2) as pool:
        one, two = await two_up(pool)
        ref = await bp.remote_call(one, keep_one, 5)
        assert await bp.remote_call(one, opened, ref) == (one, 5, 1)
        assert await bp.remote_call(two, opened, ref) == (two, 5, 2)  # fetched from there: they have met
        del ref


async def keep_one(value: Any) -> Any:
    return bp.remote(Box(value))


@pooled
async def test_what_cannot_be_fetched_is_the_calls_error_and_names_the_argument() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2) as pool:
        one, _ = await two_up(pool)
        pool.resize(min=0)
        ref = await bp.remote_call(one, keep_one, 5)
        backend.kill(next(machine for machine in backend.machines if machine.name == one))
        await until(lambda: len(pool.runners()) == 1)
        SEEN.clear()
        with pytest.raises(OwnerLost) as caught:
            await pool.call(remember, 3, lost=ref)
        assert caught.value.node == one
        assert any("fetching argument 'lost'" in note for note in caught.value.__notes__)
        assert SEEN == []


async def remember(*args: Any, **kwargs: Any) -> None:
    SEEN.append((args, kwargs))


@pooled
async def test_a_dropped_reference_is_an_error_of_the_call() -> None:
    async with bp.Pool(backend=LoopBackend(), max=1) as pool:
        ref = await pool.keep(box, 1)
        ref.drop()
        with pytest.raises((RefDropped, EncodeError), match="dropped"):
            await pool.call(plain, ref)


# where


@pooled
async def test_a_call_goes_to_the_runner_that_has_its_argument() -> None:
    async with bp.Pool(backend=LoopBackend(), max=2, max_concurrency=2) as pool:
        one, two = await two_up(pool)
        refs = [await bp.remote_call(node, keep_one, node) for node in (one, two)]
        for _ in range(3):
            for ref in refs:
                assert (await pool.call(opened, ref))[0] == ref.node
        waiting = [pool.submit(asyncio.sleep, 60) for _ in range(2)]
        waiting += [pool.submit(asyncio.sleep, 60)]  # the first runner is full
        assert pool.runners()[0]["calls"] == 2
        assert (await pool.call(opened, refs[0]))[0] == two  # it does not wait for a slot there
        for handle in waiting:
            handle.cancel()


class Fake:
    def __init__(self, node: str, number: int, nbytes: int) -> None:
        self.id = (node, 1, number)
        self.nbytes = nbytes


def test_the_runner_with_the_most_bytes_is_the_nearest() -> None:
    number_of = {"a": 1, "b": 2}.get
    assert near([Fake("a", 1, 10), Fake("b", 1, 30), Fake("a", 2, 25)], number_of) == (1, 2)
    assert near([Fake("a", 1, 10), Fake("a", 1, 10), Fake("b", 1, 15)], number_of) == (2, 1)  # one object, twice
    assert near([Fake("b", 1, 0)], number_of) == (2,)
    assert near([Fake("elsewhere", 1, 99)], number_of) == ()
    assert owned([Fake("a", 1, 0)]) == [("a", 1)]


def test_calls_without_references_are_not_looked_at_twice() -> None:
    assert references((1, "a", [object()]), {"x": None}) == ()
    assert Piece([1], tuple).parts == [1]
    assert keeping.takes_keep(mine)
    assert not keeping.takes_keep(swallow)
    assert not keeping.takes_keep("a:name")


# what keeps a runner


@pooled
async def test_a_runner_is_kept_as_long_as_another_node_refers_to_its_objects() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1, idle_shutdown_after=0.1) as pool:
        refs = await pool.map(box, range(100), keep=True)
        assert objects(backend) == 100
        [why] = kept(backend)
        assert keeping.TOKEN in why
        await until(lambda: pool._working().questions > 1)  # it was asked whether it may end, and then once more
        assert [runner["state"] for runner in pool.runners()] == ["up"]
        del refs[1:]
        await until(lambda: objects(backend) == 1)
        assert keeping.TOKEN in kept(backend)[0]
        refs.clear()
        await until(lambda: kept(backend) in ([""], []))
        await until(lambda: not pool.runners())
        assert await pool.call(double, 1) == 2


@pooled
async def test_what_a_runner_alone_refers_to_does_not_keep_it() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1, idle_shutdown_after=0.1) as pool:
        await pool.call(hoard)
        try:
            assert objects(backend) == 1
            assert kept(backend) == [""]
            await until(lambda: not pool.runners())
        finally:
            HOARD.clear()


HOARD: list[Any] = []


async def hoard() -> None:
    HOARD.append(bp.remote(Box(1)))


@pooled
async def test_a_single_use_runner_that_keeps_something_lives_on_and_runs_nothing_else() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2, single_use=True) as pool:
        ref = await pool.keep(box, 1)
        assert await pool.call(opened, ref) != (ref.node, 1, 1)  # on another one
        assert (await ref.get()).value == 1
        del ref
        await until(lambda: not pool.runners())


@pooled
async def test_a_caller_that_is_gone_meanwhile_leaves_nothing() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        handle = pool.keep(slowly, 1)
        await until(lambda: SEEN)
        handle.cancel()
        await until(lambda: kept(backend) == [""] and not objects(backend))

        async def asks() -> None:
            api.send(me, "asks")
            await pool.keep(slowly, 2)

        me = bp.self()
        SEEN.clear()
        pid = bp.spawn(asks)
        await until(lambda: SEEN)
        bp.exit(pid, "kill")
        await until(lambda: kept(backend) == [""] and not objects(backend))
        gc.collect()
        assert not Box.alive


@pooled
async def test_references_do_not_hold_up_the_end_of_a_pool() -> None:
    backend = LoopBackend()
    pool = bp.Pool(backend=backend, max=1, shutdown_timeout=3600)
    async with pool:
        ref = await pool.keep(box, 1)
        node = ref.node
        async with asyncio.timeout(harness.DEADLINE):
            await pool.stop()
    with pytest.raises((OwnerLost, RefExpired)) as caught:
        await ref.get()
    assert caught.value.node == node


@pooled
async def test_a_killed_runner_loses_its_objects_and_says_so_at_once() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=1) as pool:
        ref = await pool.keep(box, 1)
        backend.kill(backend.machines[0])
        await until(lambda: not pool.runners())
        refs = refs_of(api.self_process().node)
        await until(lambda: refs.trouble(ref.id) is not None)
        with pytest.raises(OwnerLost, match=r"Box of .*was on .*, which is lost"):
            await ref.get()
        assert "lost" in repr(ref)


@pooled
async def test_references_are_shared_by_many_and_leak_nothing() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=3, max_concurrency=2, idle_shutdown_after=0.2) as pool:
        ref = await pool.keep(box, 1)
        for _ in range(5):
            got = await asyncio.gather(*[pool.call(same, [ref]) for _ in range(6)])
            assert set(got) == {ref}
            got += await asyncio.gather(*[pool.call(opened, ref, [ref]) for _ in range(6)])
        del got, ref
        await until(lambda: not pool.runners())
        gc.collect()
        assert not Box.alive
        rows = refs_of(api.self_process().node).rows()
        assert rows == []
