"""current: who speaks for code that is no process."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest

from beampy.core import current as module
from beampy.core.current import add_fallback, current, here, remove_fallback
from beampy.errors import NotInNode


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_fallback", [])


def test_nobody_is_here() -> None:
    with pytest.raises(NotInNode) as caught:
        here("spawn")
    assert caught.value.verb == "spawn"


def test_the_latest_fallback_speaks() -> None:
    first: Any = object()
    second: Any = object()
    add_fallback(first)
    assert here("x") is first
    add_fallback(second)
    assert here("x") is second
    remove_fallback(first)
    assert here("x") is second
    remove_fallback(second)
    remove_fallback(second)
    with pytest.raises(NotInNode):
        here("x")


def test_a_process_of_its_own_comes_first() -> None:
    fallback: Any = object()
    own: Any = object()
    add_fallback(fallback)

    def inside() -> Any:
        current.set(own)
        return here("x")

    assert contextvars.copy_context().run(inside) is own
    assert here("x") is fallback
