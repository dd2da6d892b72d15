"""The examples in docstrings that say what they print are run; those that need a world around them are not."""

from __future__ import annotations

import doctest
import importlib
from typing import Any

import pytest

import beampy as bp

# Everything in these modules, and of others these names.
PURE = (
    "beampy.core.ids",
    "beampy.core.signals",
    "beampy.dist.mesh",
    "beampy.otp.child",
    "beampy.otp.strategy",
    "beampy.wire.buffers",
    "beampy.wire.fresh",
    "beampy.wire.control",
)
NAMES = {
    "beampy.core.mailbox": ("matcher", "receive"),
    "beampy.api": ("self",),
    "beampy.runtime.program": ("run",),
}


def found() -> list[Any]:
    finder = doctest.DocTestFinder()
    tests = []
    for name in (*PURE, *NAMES):
        module = importlib.import_module(name)
        tests += [
            test
            for test in finder.find(module, globs={"bp": bp, **vars(module)})
            if test.examples and (name in PURE or test.name.rpartition(".")[2] in NAMES[name])
        ]
    return tests


def test_there_are_examples() -> None:
    names = [test.name for test in found()]
    assert "beampy.core.ids.node_name" in names
    assert {f"{module}.{name}" for module, names in NAMES.items() for name in names} <= set(names)


@pytest.mark.parametrize("test", found(), ids=lambda test: test.name)
def test_example(test: Any) -> None:
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert result.failed == 0, "".join(report)
    assert result.attempted > 0
