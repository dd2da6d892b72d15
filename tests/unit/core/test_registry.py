"""registry: one name a process, one process a name."""

from __future__ import annotations

from typing import Any

import pytest

from beampy.core.ids import Pid
from beampy.core.registry import RESERVED, Registry
from beampy.errors import BadName, NameTaken, NotRegistered

A, B = (Pid("a@h", serial, 7) for serial in (1, 2))


def test_a_name_is_given_and_freed() -> None:
    registry = Registry()
    registry.register("one", A, None)
    assert registry.pids == {"one": A}
    assert registry.unregister("one") == A
    assert registry.pids == {}


def test_a_name_is_given_once() -> None:
    registry = Registry()
    registry.register("one", A, None)
    with pytest.raises(NameTaken) as caught:
        registry.register("one", B, None)
    assert (caught.value.name, caught.value.pid) == ("one", A)
    with pytest.raises(NameTaken):
        registry.check("one")
    assert registry.pids == {"one": A}


def test_a_process_has_one_name() -> None:
    registry = Registry()
    registry.register("one", A, None)
    with pytest.raises(NameTaken) as caught:
        registry.register("two", A, "one")
    assert (caught.value.name, caught.value.pid) == ("one", A)
    assert registry.pids == {"one": A}


@pytest.mark.parametrize("name", [*RESERVED, None, 1, b"one", ("one",), Registry])
def test_what_is_no_name(name: Any) -> None:
    registry = Registry()
    with pytest.raises(BadName) as caught:
        registry.register(name, A, None)
    assert (caught.value.kind, caught.value.name) == ("process", name)


def test_freeing_a_name_that_nobody_has() -> None:
    with pytest.raises(NotRegistered) as caught:
        Registry().unregister("one")
    assert caught.value.name == "one"


def test_forgetting_is_silent() -> None:
    registry = Registry()
    registry.register("one", A, None)
    registry.forget("one")
    registry.forget("one")
    assert registry.pids == {}
