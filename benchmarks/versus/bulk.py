"""The peers' side of `refs_bulk`: one worker on this host, and a 100 MB array that goes there, comes back, or stays.

A peer gives what submits a function and waits for it, what puts an array into its store, and what brings a result that
stays with a worker. See `refs_bulk` for what each figure is; every one includes the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.refs_bulk import MB
from benchmarks.refs_work import array, give, total

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.case import Figures


@dataclass(frozen=True)
class Store:
    """`call(fn, *args)` gives fn's value; `keep(fn, *args)` something that stands for it, where it is; `put(value)`
    the same of a value of ours; `get` brings what such a thing stands for. Calls take what stands for something."""

    call: Callable[..., Any]
    keep: Callable[..., Any]
    put: Callable[[Any], Any]
    get: Callable[[Any], Any]


def refs_bulk(store: Store, times: int) -> Figures:
    values = array(MB)
    expected = total(values)
    put, kept = store.put(values), store.keep(give, MB)
    ways: dict[str, Callable[[], float]] = {
        "argument": lambda: store.call(total, values),
        "return": lambda: total(store.call(give, MB)),
        "get": lambda: total(store.get(store.keep(give, MB))),
        "ref": lambda: store.call(total, kept),
        "shared": lambda: store.call(total, put),
    }
    return {f"refs_bulk.{how}": _rate(once, expected, times) for how, once in ways.items()}


def _rate(once: Callable[[], float], expected: float, times: int) -> float:
    took = []
    for _ in range(times + 2):
        began = perf_counter()
        assert once() == expected
        took.append(perf_counter() - began)
    return MB / median(took[2:])
