"""The peers' side of `code`: calls of functions that were just defined, by whatever a peer declares and calls with.

A peer gives `declare`: from a function to what calls it there and waits, `declare(fn)(x)`. It is used once for each
definition, as ray's documentation says; what a peer does anew for each call happens in the call.
"""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.case import Figures, percentile_us
from benchmarks.code import CELLS, HELPED
from benchmarks.code_made import cell_result, cell_text, helper_text, helpers_text, number, run_cell

if TYPE_CHECKING:
    from collections.abc import Callable

    Declare = Callable[[Callable[..., Any]], Callable[..., Any]]

WARM = 10
PLAIN = "def slept(delay):\n    return delay\n"


def code_calls(declare: Declare, n: int) -> Figures:
    """Its figures: `n` calls that are warm, and fewer of the others."""
    ever = _timed(declare, *_new_cell())
    cells, calls = max(3, n // CELLS), max(5, n // HELPED)
    return {
        "code.first.ever": ever * 1e3,
        **_warm(declare, n),
        **_firsts(declare, cells),
        **_redefined(declare, cells),
        **_with_helpers(declare, calls),
    }


def _new_cell(name: str = "") -> tuple[Any, int]:
    new = number()
    name = name or f"cell_{new}"
    (fn,) = run_cell(cell_text(name, new, plain=True), name)
    return fn, cell_result(new)


def _timed(declare: Declare, fn: Any, expected: int) -> float:
    """Seconds of the first call, the declaration included."""
    began = perf_counter()
    got = declare(fn)(3)
    took = perf_counter() - began
    assert got == expected, f"{got} instead of {expected}"
    return took


def _each(call: Callable[..., Any], n: int, x: int) -> list[float]:
    took = []
    for _ in range(n):
        began = perf_counter()
        call(x)
        took.append(perf_counter() - began)
    return took


def _warm(declare: Declare, n: int) -> Figures:
    (slept,) = run_cell(PLAIN, "slept")
    shipped, installed = declare(slept), declare(asyncio.iscoroutine)
    for call in (shipped, installed):
        _each(call, WARM, 0)
    took = _each(shipped, n, 0)
    return {
        "code.installed": percentile_us(_each(installed, n, 0), 0.5),
        "code.shipped": percentile_us(took, 0.5),
        "code.shipped.p99": percentile_us(took, 0.99),
    }


def _firsts(declare: Declare, n: int) -> Figures:
    plain = declare(asyncio.iscoroutine)
    first, after = [], []
    for _ in range(n):
        first.append(_timed(declare, *_new_cell()))
        after += _each(plain, 1, 0)
    return {
        "code.first": percentile_us(first, 0.5) / 1e3,
        "code.first.p99": percentile_us(first, 0.99) / 1e3,
        "code.first.over": median(a - b for a, b in zip(first, after, strict=True)) * 1e3,
    }


def _redefined(declare: Declare, n: int) -> Figures:
    own, helper = [], []
    (compute,) = run_cell(helpers_text(0, plain=True), "compute")
    for _ in range(n):
        began = perf_counter()
        _timed(declare, *_new_cell("redefined"))
        own.append(perf_counter() - began)
    known = declare(compute)(3)
    for _ in range(n):
        began = perf_counter()
        run_cell(helper_text(299, number()), "helper_299")
        found = declare(compute)(3)
        helper.append(perf_counter() - began)
        assert found != known, "the old helper was run"
        known = found
    return {
        "code.redefined": percentile_us(own, 0.5) / 1e3,
        "code.redefined.helper": percentile_us(helper, 0.5) / 1e3,
    }


def _with_helpers(declare: Declare, n: int) -> Figures:
    (compute,) = run_cell(helpers_text(number(), plain=True), "compute")
    began = perf_counter()
    call = declare(compute)
    call(3)
    first = perf_counter() - began
    _each(call, WARM, 3)
    took = _each(call, n, 3)
    return {
        "code.helpers": percentile_us(took, 0.5),
        "code.helpers.p99": percentile_us(took, 0.99),
        "code.helpers.first": first * 1e3,
    }
