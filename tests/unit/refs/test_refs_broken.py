"""References where they were found broken: what a failure keeps, what stopped nodes say, and what errors name."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.standin import FETCHED
from beampy.errors import BadFunction, NodeDown, OwnerLost, ServerExited
from beampy.otp.rpc_server import RPC
from beampy.refs.ref import RemoteRef
from beampy.refs.service import Refs, refs_of
from beampy.testing.pool_backend import LoopBackend
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.pool.ground import pooled
from tests.unit.pool.ground import until as until_so
from tests.unit.refs.using_ground import at, between, refs_at

HOUR = 3600.0  # seconds of a deadline that no test reaches


@contextmanager
def uncollected() -> Iterator[None]:
    """What is freed in here is freed by counting references."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def fails(refs: list[RemoteRef[Any]]) -> None:
    raise ValueError(refs[0])


def fails_in_a_thread(refs: list[RemoteRef[Any]]) -> None:
    raise ValueError(refs[0])


async def leaves(refs: list[RemoteRef[Any]]) -> None:
    bp.exit(("no reason", refs[0]))


async def fails_after_a_deadline(refs: list[RemoteRef[Any]]) -> None:
    """The first on its node that has a deadline of this length."""
    await refs[0].get(timeout=HOUR)
    raise ValueError(refs[0])


async def ask(fn: Any) -> None:
    """Call it with an object of ours; what comes of it is forgotten at once."""
    with suppress(ValueError, ServerExited):
        await bp.remote_call(at("b"), fn, [bp.remote([])])


@pytest.mark.parametrize("fn", [fails, leaves, fails_after_a_deadline])
@between
async def test_an_object_in_a_failure_is_kept_by_nobody_when_the_failure_was_told(nodes: Cluster, fn: Any) -> None:
    with uncollected():
        await ask(fn)
        await until(lambda: refs_at(nodes, "b").rows(), [])
        await until(lambda: refs_at(nodes, "a").rows(), [])


@pytest.mark.loops("asyncio", "uvloop")
@between
async def test_nor_where_the_function_ran_in_a_thread(nodes: Cluster) -> None:
    with uncollected():
        await ask(fails_in_a_thread)
        await until(lambda: refs_at(nodes, "b").rows(), [])
        await until(lambda: refs_at(nodes, "a").rows(), [])


class Model:
    """Its methods return what they are called on, as builders and estimators do."""

    def fit(self) -> Model:
        return self

    def another(self) -> Model:
        return Model()


def make_model() -> RemoteRef[Model]:
    return bp.remote(Model())


@between
async def test_a_method_that_returns_its_own_object_keeps_no_second_one(nodes: Cluster) -> None:
    ref = await bp.remote_call(at("b"), make_model)
    same = await ref.keep.fit()
    assert same == ref
    assert await ref.keep(lambda model: model) == ref
    assert await ref.keep.another() != ref
    await until(lambda: [row.id for row in refs_at(nodes, "b").rows()], [ref.id])


@pytest.mark.parametrize(
    "use",
    [lambda ref: ref.get(), lambda ref: ref.do.append(1), lambda ref: ref.apply(len), lambda ref: ref.keep.copy()],
    ids=["get", "do", "apply", "keep"],
)
async def test_the_handle_of_a_stopped_node_says_so(use: Any) -> None:
    async with bp.Node() as node:
        ref = bp.remote([1])
    with pytest.raises(OwnerLost) as lost:
        await use(ref)
    assert str(lost.value) == (
        f"the list of {ref.nbytes} B was on {node.name}, which is lost: "
        f"this handle is one of {node.name}, and that has stopped"
    )


@between
async def test_errors_of_put_and_refs_name_these_and_no_function_within() -> None:
    gone = f"nobody@{at('b').partition('@')[2]}"
    with pytest.raises(NodeDown) as down:
        await bp.put([1], node=gone)
    assert str(down.value) == f"no connection to the node of bp.put of list on {gone}"
    with pytest.raises(NodeDown) as down:
        await bp.refs(gone)
    assert str(down.value) == f"no connection to the node of bp.refs on {gone}"


@pytest.mark.loops("asyncio", "uvloop")
@between
async def test_what_a_node_has_can_be_listed_while_threads_make_more() -> None:
    refs: Refs = refs_of(api.self_process().node)
    kept: list[RemoteRef[Any]] = []

    def make() -> None:
        for number in range(4000):
            kept.append(refs.own(number))  # noqa: PERF401  the test looks at it meanwhile

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # seconds: less than a look takes
    try:
        maker = asyncio.create_task(asyncio.to_thread(make))
        while not maker.done():
            known = len(kept)
            assert len(refs.rows()) >= known
            await asyncio.sleep(0)
        await maker
    finally:
        sys.setswitchinterval(before)
    assert len(refs.rows()) == 4000


@between
async def test_a_node_that_takes_no_calls_any_more_is_stopping(nodes: Cluster) -> None:
    ref = await bp.remote_call(at("b"), make_model)
    core = nodes.nodes["b"]._core
    process = core.find(core.registry.pids[RPC])
    assert process is not None
    process.kill()
    with pytest.raises(OwnerLost) as lost:
        await ref.do.another()
    assert str(lost.value) == (
        f"the {ref.what} of {ref.nbytes} B was on {at('b')}, which is lost: it is stopping, and takes no calls any more"
    )


# --- pools


async def load(value: Any) -> list[Any]:
    return [value]


async def total(rows: list[Any], *more: Any, by: Any = None) -> Any:
    return sum(rows)


async def sums(some: list[list[Any]]) -> list[Any]:
    return [sum(rows) for rows in some]


def items() -> Iterator[int]:
    yield 1


@pooled
async def test_a_call_whose_argument_is_known_to_be_lost_fails_at_once_and_starts_no_machine() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2) as pool:
        ref = await pool.keep(load, 7)
        backend.kill(backend.machines[0])
        await until_so(lambda: not pool.runners() and ref.refs.trouble(ref.id) is not None)
        machines = len(backend.machines)
        calls: tuple[tuple[Any, str], ...] = (
            (lambda: pool.call(total, ref), "0"),
            (lambda: pool.submit(total, [], ref), "1"),
            (lambda: pool.call(total, [], by=ref), "'by'"),
            (lambda: pool.keep(total, ref), "0"),
            (lambda: pool.scatter(sums, [ref, ref], 1), "0"),
        )
        for call, name in calls:
            with pytest.raises(OwnerLost) as lost:
                await call()
            assert str(lost.value) == (
                f"the list of {ref.nbytes} B was on {ref.node}, which is lost: that start of the node has ended"
            )
            assert lost.value.__notes__[0] == f"{FETCHED} {name}; the function was not called"
        with pytest.raises(OwnerLost):
            await pool.map(total, [ref])
        assert len(backend.machines) == machines


@pooled
async def test_the_error_of_keeping_a_generator_asks_for_a_function_of_one_value() -> None:
    async with bp.Pool(backend=LoopBackend()) as pool:
        with pytest.raises(BadFunction, match=r"^pool\.keep: needs a function that returns one value and"):
            pool.keep(items)
