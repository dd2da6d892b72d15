"""functions: what may be spawned, and that nothing of what may not is ever run."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from beampy.core.functions import describe, start_coroutine
from beampy.errors import BadFunction

ran: list[Any] = []


async def good(*args: Any) -> Any:
    return args


def plain(*_: Any) -> None:
    ran.append("plain")


async def generator():
    ran.append("generator")
    yield


def wrapping(fn: Any) -> Any:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> Any:
        return fn(*args)

    return wrapper


class Caller:
    async def __call__(self, *args: Any) -> Any:
        return args

    async def method(self, *args: Any) -> Any:
        return args

    @classmethod
    async def of_class(cls, *args: Any) -> Any:
        return args

    @staticmethod
    async def of_nobody(*args: Any) -> Any:
        return args


class Silent:
    def __call__(self) -> None:
        ran.append("Silent")


@pytest.mark.parametrize(
    "fn",
    [
        good,
        Caller(),
        Caller().method,
        Caller.of_class,
        Caller.of_nobody,
        wrapping(good),
        wrapping(wrapping(good)),
        functools.partial(functools.partial(good)),
        functools.partial(wrapping(good)),
        functools.partial(Caller()),
        lambda *args: good(*args),
    ],
)
def test_what_gives_a_coroutine(fn: Any) -> None:
    coro = start_coroutine(fn, (1, 2))
    assert asyncio.iscoroutine(coro)
    with pytest.raises(StopIteration) as stopped:
        coro.send(None)
    assert stopped.value.value == (1, 2)


def test_arguments_of_a_partial_come_first() -> None:
    coro = start_coroutine(functools.partial(good, 1), (2,))
    with pytest.raises(StopIteration) as stopped:
        coro.send(None)
    assert stopped.value.value == (1, 2)


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (plain, "plain, which is not async"),
        (print, "print, which is not async"),
        (generator, "generator, which is not async"),
        (functools.partial(plain, 1), "partial, which is not async"),
        (wrapping(plain), "plain, which is not async"),
        (Silent(), "Silent, which is not async"),
        (Silent, "Silent, which is not async"),
        (dict, "dict, which is not async"),
        ("worker", "a str"),
        (None, "a NoneType"),
        (5, "a int"),
    ],
)
def test_what_does_not(fn: Any, said: str) -> None:
    ran.clear()
    with pytest.raises(BadFunction) as caught:
        start_coroutine(fn, ())
    assert caught.value.given.startswith(said)
    assert ran == []


def test_a_lambda_is_only_known_by_what_it_returns() -> None:
    with pytest.raises(BadFunction, match="which returned int"):
        start_coroutine(lambda: 5, ())


def test_a_coroutine_is_closed_and_the_call_named() -> None:
    with pytest.raises(BadFunction, match=r"the coroutine good\(\) \(leave out the call\)"):
        start_coroutine(good(), ())  # type: ignore[arg-type]


def test_arguments_that_do_not_fit_are_a_plain_type_error() -> None:
    async def two(a: int, b: int) -> None: ...

    with pytest.raises(TypeError, match="missing 1 required") as caught:
        start_coroutine(two, (1,))
    assert not isinstance(caught.value, BadFunction)


def test_names() -> None:
    assert describe(plain) == "plain"
    assert describe(Caller().method) == "Caller.method"
    assert describe(functools.partial(plain)) == "partial"
    assert describe(5) == "int"
