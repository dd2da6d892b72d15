"""Kinds of modules: what is installed, what is source, what is neither; found without importing anything."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from beampy.code import classify
from beampy.code.classify import is_installed_path, kind_of, spec_of
from beampy.code.classify_find import find
from tests.unit.code.origin_ground import Project, project

__all__ = ["project"]


def kind(name: str) -> str:
    return kind_of(name, find(name))


@pytest.mark.parametrize(
    "name", ["sys", "zipimport", "json", "json.decoder", "_json", "pytest", "_pytest.python", "beampy", "beampy.errors"]
)
def test_what_an_installer_or_an_interpreter_put_there_is_installed(name: str) -> None:
    assert kind(name) == "installed"


def test_beampy_is_installed_wherever_it_lies() -> None:
    assert not is_installed_path(classify.__file__)  # these tests run from a checkout
    assert kind("beampy.code.classify") == "installed"


@pytest.mark.parametrize("name", ["__main__", "__mp_main__", "absent_module", "absent_package.module"])
def test_what_has_no_source_is_live(name: str) -> None:
    assert kind(name) == "live"


def test_what_is_made_by_hand_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "by_hand", ModuleType("by_hand"))
    assert kind("by_hand") == "live"


def test_what_is_no_module_has_no_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slotted:
        __slots__ = ()

    monkeypatch.setitem(sys.modules, "strange", Slotted())
    assert find("strange") is None
    monkeypatch.setitem(sys.modules, "blocked", None)
    assert find("blocked") is None


def test_local_modules_are_source_imported_or_not(project: Project) -> None:
    project.write("helpers.py", "x = 1")
    assert kind("helpers") == "source"
    assert "helpers" not in sys.modules
    project.load("helpers")
    assert kind("helpers") == "source"


def test_a_submodule_is_found_without_its_parents(project: Project) -> None:
    project.write("outer/__init__.py", "raise SystemExit")
    project.write("outer/inner/__init__.py", "raise SystemExit")
    project.write("outer/inner/leaf.py")
    assert find("outer.inner.leaf").origin == str(project.root / "outer/inner/leaf.py")  # type: ignore[union-attr]
    assert find("outer.inner.absent") is None
    assert find("outer.inner.leaf.more") is None
    assert not {"outer", "outer.inner"} & sys.modules.keys()


def test_namespace_packages_are_source_with_all_their_portions(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("spread/one/a.py")
    other = project.root.parent / "other"
    (other / "spread" / "one").mkdir(parents=True)
    (other / "spread" / "one" / "b.py").touch()
    monkeypatch.syspath_prepend(str(other))
    assert kind("spread") == kind("spread.one") == kind("spread.one.a") == kind("spread.one.b") == "source"
    found = find("spread.one")
    assert found is not None
    assert list(found.submodule_search_locations or ()) == [str(other / "spread/one"), str(project.root / "spread/one")]
    project.load("spread.one.a")
    assert kind("spread") == "source"


def test_a_venv_in_the_project_is_installed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = project.write(".venv/lib/python3.11/site-packages/inside.py").parent
    project.write(".venv/lib/python3.11/site-packages/spread/part.py")
    monkeypatch.syspath_prepend(str(packages))
    assert kind("inside") == kind("spread") == kind("spread.part") == "installed"


def test_an_editable_install_is_source(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project.write("elsewhere/src/editable.py")

    class _Finder:
        @classmethod
        def find_spec(cls, name: str, path: object = None, target: object = None) -> object:
            return importlib.util.spec_from_file_location(name, file) if name == "editable" else None

    _Finder.__module__ = "__editable___editable_1_0_finder"
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _Finder])
    assert kind("editable") == "source"
    assert kind("not_editable") == "live"


def test_no_other_finder_is_asked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    class Building:
        def find_spec(self, *args: object) -> None:
            raise AssertionError("a finder may build, download or import")

    monkeypatch.setattr(sys, "meta_path", [Building()])
    assert kind("surely_absent") == "live"


def test_extension_modules_are_installed_wherever_they_lie(project: Project) -> None:
    project.write("fast" + importlib.machinery.EXTENSION_SUFFIXES[0], b"\x7fELF")
    assert kind("fast") == "installed"


def test_a_pyc_alone_is_live(project: Project) -> None:
    import py_compile

    source = project.write("only.py", "x = 1")
    py_compile.compile(str(source), str(project.root / "only.pyc"))
    source.unlink()
    importlib.invalidate_caches()
    assert kind("only") == "live"


def test_a_local_file_that_shadows_the_standard_library_is_source(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("queue.py", "x = 1")
    monkeypatch.delitem(sys.modules, "queue", raising=False)
    assert kind("queue") == "source"


def test_a_rewritten_test_module_is_source() -> None:
    assert __name__ in sys.modules
    assert kind(__name__) == "source"


def test_shipped_modules_are_of_another_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loader:
        beampy_space = object()

    module = ModuleType("arrived")
    module.__spec__ = importlib.machinery.ModuleSpec("arrived", Loader(), origin="/theirs/arrived.py")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "arrived", module)
    assert kind("arrived") == "shipped"


def test_a_lazy_module_is_not_woken(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("lazy.py", "raise SystemExit('woken')")
    spec = importlib.util.find_spec("lazy")
    assert spec is not None
    assert spec.loader is not None
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy", module)
    loader.exec_module(module)
    assert spec_of(module) is spec
    assert kind("lazy") == "source"


@pytest.mark.parametrize("name", ["..etc", "a/b", "../secret", "", ".", "json.", "nul\0"])
def test_names_do_not_lead_out_of_a_directory(name: str, project: Project) -> None:
    project.write("secret.py")
    project.write("a/b.py")
    assert find(name) is None


def test_the_roots_are_directories_of_this_interpreter() -> None:
    assert is_installed_path(json.__file__)
    assert is_installed_path(pytest.__file__)
    assert not is_installed_path(str(Path("/srv/site-packages-of-mine/module.py")))
