"""A node reads ahead what others may ask for, on a thread of its own; and no further when it has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

import beampy as bp
from beampy.code import origin as origin_module
from beampy.code.origin import Origin
from tests.unit.code.origin_ground import Project, origin, project

__all__ = ["origin", "project"]


class Reading:
    """What is read of modules, each slowly; and whether somebody is at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[str] = []
        self.begun = threading.Event()
        self.at_work = False
        entry = origin_module._Pass._entry

        def slow(self_: origin_module._Pass, name: str) -> object:
            self.at_work = True
            self.begun.set()
            time.sleep(0.01)  # as on a machine that is busy
            found = entry(self_, name)
            self.read.append(name)
            self.at_work = False
            return found

        monkeypatch.setattr(origin_module._Pass, "_entry", slow)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch, origin: Origin, project: Project) -> Reading:
    """An origin with more modules to read than a node has time for."""
    for number in range(300):
        project.write(f"many_{number}.py", f"x = {number}")
        project.load(f"many_{number}")
    return Reading(monkeypatch)


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_node_that_has_ended_reads_nothing_more(reading: Reading):
    async with bp.Node("reads-ahead@localhost", hidden=True, listen=False):
        assert reading.begun.wait(30)
    assert not reading.at_work
    count = len(reading.read)
    for thread in threading.enumerate():
        if thread.name.startswith("beampy-code"):
            thread.join(30)
    assert len(reading.read) == count < 300


def test_who_looks_after_one_that_was_stopped_sees_the_rest(origin: Origin, project: Project):
    project.write("one.py")
    project.write("two.py")
    project.load("one")
    project.load("two")
    looked: list[str] = []
    stop: Callable[[], bool] = lambda: len(looked) >= 1  # noqa: E731
    kind = origin.kind

    def noted(name: str) -> object:
        looked.append(name)
        return kind(name)

    origin.kind = noted  # type: ignore[method-assign, assignment]
    origin.look_ahead(stop)
    assert len(looked) == 1
    looked.clear()
    origin.look_ahead()
    assert {"one", "two"} <= set(looked)
    looked.clear()
    origin.look_ahead()
    assert looked == []
