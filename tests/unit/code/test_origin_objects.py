"""References that come home find the object of their version, and keep nothing alive."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

from beampy.code.origin import Origin
from tests.unit.code.origin_ground import Project, origin, project

__all__ = ["origin", "project"]


# ---- objects that come home ----


def test_attributes_by_their_path(origin: Origin, project: Project) -> None:
    project.write("home.py", "class C:\n    class D:\n        def m(self): pass\ndef f(): pass\nVALUE = [1]")
    module = project.load("home")
    assert origin.attribute("home", 1, "C.D.m") is module.C.D.m
    assert origin.attribute("home", 1, "f") is module.f
    assert origin.attribute("home", 1, "VALUE") is module.VALUE
    with pytest.raises(AttributeError, match=r"module home has no C\.E\.m any more"):
        origin.attribute("home", 1, "C.E.m")
    with pytest.raises(AttributeError, match="module home has no g any more"):
        origin.attribute("home", 1, "g")
    with pytest.raises(ModuleNotFoundError, match="surely_absent, which f was sent from") as caught:
        origin.attribute("surely_absent", 1, "f")
    assert caught.value.name == "surely_absent"


def test_old_versions_are_freed_when_nothing_uses_them(origin: Origin, project: Project) -> None:
    project.write("freed.py", "class C: pass\ndef f(): pass")
    module = project.load("freed")
    assert origin.version("freed") == 1
    old = weakref.ref(module.f)
    project.reload(module)
    gc.collect()
    assert old() is None
    assert origin.attribute("freed", 1, "f") is module.f
    replaced = weakref.ref(module)
    del module, sys.modules["freed"]
    gc.collect()
    assert replaced() is None
    project.load("freed")
    assert origin.version("freed") == 3


def test_a_version_raised_by_an_import_has_the_objects_of_the_next(origin: Origin, project: Project) -> None:
    project.write("base.py", "x = 1")
    project.write("top.py", "import base\nclass C: pass")
    top = project.load("top")
    origin.entries(["top"])
    old = top.C
    project.reload(sys.modules["base"])
    assert origin.version("top") == 2
    assert origin.attribute("top", 1, "C") is old
    project.reload(top)
    assert origin.version("top") == 3
    assert origin.attribute("top", 1, "C") is origin.attribute("top", 2, "C") is old
    assert origin.attribute("top", 3, "C") is top.C


def test_the_old_versions_of_a_module_are_bounded(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from beampy.code import origin_objects

    monkeypatch.setattr(origin_objects, "VERSIONS", 3)
    project.write("many.py", "class C: pass")
    module = project.load("many")
    classes = [module.C]
    assert origin.version("many") == 1
    for _ in range(5):
        project.reload(module)
        classes.append(module.C)
    assert origin.version("many") == 6
    assert [origin.attribute("many", version, "C") for version in (3, 4, 5, 6)] == classes[2:]
    assert origin.attribute("many", 1, "C") is classes[2]  # the oldest that is kept


# ---- values that answer by code of their own ----

TOUCHY = """
    ASKED = []

    class Lazy:
        def __getattribute__(self, name):
            ASKED.append(name)
            raise RuntimeError(f"asked for {name}")

    class Shown:
        @property
        def __dict__(self):
            ASKED.append("__dict__")
            return {}

        @property
        def __class__(self):
            ASKED.append("__class__")
            return Shown

    class Meta(type):
        def __getattribute__(cls, name):
            if ASKED is not None:
                ASKED.append(name)
            return type.__getattribute__(cls, name)

    class Asking(metaclass=Meta):
        @staticmethod
        def of_a_class(): return 1

    def wrapped(): return 1

    value, shown = Lazy(), Shown()
    ASKED.clear()
"""


def test_nothing_runs_that_the_values_of_a_module_define(origin: Origin, project: Project) -> None:
    """As of torch.distributed.reduce_op, which warns whoever asks it for anything, or of what imports when asked."""
    project.write("touchy.py", TOUCHY)
    module = project.load("touchy")
    old = module.Asking
    module.ASKED.clear()
    assert origin.version("touchy") == 1
    assert origin.entries(["touchy"])
    assert module.ASKED == []
    project.write("touchy.py", TOUCHY + "\n    edited = 1\n")  # so what it has is compared with the file
    assert origin.entries(["touchy"])
    assert module.ASKED == []
    project.reload(module)
    module.ASKED.clear()
    assert origin.version("touchy") == 2
    assert module.ASKED == []
    assert origin.attribute("touchy", 1, "Asking") is old
