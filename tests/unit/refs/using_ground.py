"""What tests of references stand on: two or three nodes on one loop, and an object that is worth a reference."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
from typing import Any

import beampy as bp
from beampy.refs.service import Refs, refs_of
from beampy.testing import harness
from tests.unit.otp.nodes_ground import Cluster, cluster, on_simulator, until
from tests.unit.otp.tidy import Body


def between(test: Body) -> Body:
    """Run the test as a process of node a; b and c are there, too. At its end no node keeps or holds an object."""
    wanted = set(inspect.signature(test).parameters)

    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:
        async with cluster("a", "b", "c", start=()) as nodes:
            if "nodes" in wanted:
                fixtures["nodes"] = nodes
            await nodes.run("a", functools.partial(test, **fixtures))
            fixtures.clear()
            await freed(nodes)

    signature = inspect.signature(test)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[parameter for name, parameter in signature.parameters.items() if name != "nodes"]
    )
    return run


async def freed(nodes: Cluster) -> None:
    """Every node has let go of everything."""
    gc.collect()  # failures have tracebacks, whose frames are cycles
    for name in list(nodes.nodes):
        await until(lambda name=name: [row.id for row in refs_at(nodes, name).rows()], [])


def refs_at(nodes: Cluster, name: str) -> Refs:
    """The references of a node."""
    return refs_of(nodes.nodes[name]._core)


def at(name: str) -> str:
    """The full name of a node of the cluster."""
    return f"{name}@{name if on_simulator() else '127.0.0.1'}"


class Shelf:
    """An object with attributes, methods of both kinds, items, and failures."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.inner: Shelf | None = None
        self.looked = 0

    def add(self, *items: Any, **named: Any) -> int:
        self.items += [*items, *named.items()]
        return len(self.items)

    async def wait(self, seconds: float) -> list[Any]:
        await asyncio.sleep(seconds)
        return self.items

    def slow(self) -> None:
        while not bp.cancelled():
            pass

    def fail(self, text: str) -> None:
        raise KeyError(text)

    def rows(self) -> Any:
        yield from self.items

    def where(self) -> str:
        return bp.self().node

    def sibling(self) -> Shelf:
        return Shelf(*reversed(self.items))

    @property
    def first(self) -> Any:
        self.looked += 1
        return self.items[0]

    def __getitem__(self, key: Any) -> Any:
        return self.items[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def __len__(self) -> int:
        return len(self.items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shelf) and self.items == other.items

    __hash__ = object.__hash__


def put_there(*items: Any) -> bp.RemoteRef[Shelf]:
    """A shelf of the node where this runs."""
    return bp.remote(Shelf(*items))


async def shelf(node: str, *items: Any) -> bp.RemoteRef[Shelf]:
    """A shelf of another node."""
    return await bp.remote_call(node, put_there, *items)


DEADLINE = harness.DEADLINE
