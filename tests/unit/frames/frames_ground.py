"""What the tests of remote frames have: a small frame, here and on a node, and how many objects a node has."""

from __future__ import annotations

import threading
from typing import Any

import polars as pl
import pytest

import beampy as bp
from tests.unit.otp.nodes_ground import Cluster
from tests.unit.refs.using_ground import at, refs_at

DATA: dict[str, Any] = {"a": [3, 1, 2], "b": ["x", "y", "x"]}

# The simulator runs threads' work at once, in the loop: there is no waiting for them.
threaded = pytest.mark.loops("asyncio", "uvloop")


def local() -> pl.DataFrame:
    """The frame, here."""
    return pl.DataFrame(DATA)


def there(node: str = "b") -> Any:
    """The frame on a node: a handle at once."""
    return bp.frames.on(at(node)).DataFrame(DATA)


def owned(nodes: Cluster, name: str) -> int:
    """How many objects a node has."""
    return len(refs_at(nodes, name).objects)


def later(gate: threading.Event) -> Any:
    """The frame on node a, which is made when the gate is open."""

    def made() -> pl.DataFrame:
        gate.wait(10)
        return local()

    return bp.frames.on(at("a")).frame(made)
