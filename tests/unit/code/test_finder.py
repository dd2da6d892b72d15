"""The finders: who may see shipped modules, and that everything else imports as ever."""

from __future__ import annotations

import contextvars
import importlib
import importlib.util
import os
import pkgutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from beampy.code.finder import EndFinder, current_space
from beampy.code.space import Spaces
from tests.unit.code.fake_source import FakeSource, connect, receiver


@pytest.fixture
def spaces() -> Iterator[Spaces]:
    with receiver() as made:
        yield made


FILES = {
    "helpers.py": "from importlib import import_module as get\ndef call(f, *args): return f(*args)\n",
    "other.py": "X = 1\n",
    "pkg/__init__.py": "",
    "pkg/sub.py": "X = 2\n",
}


def test_nothing_is_installed_before_the_first_space(spaces: Spaces) -> None:
    assert not any(isinstance(each, EndFinder) for each in sys.meta_path)
    plain = importlib.import_module
    connect(spaces, FakeSource({}))
    assert isinstance(sys.meta_path[-1], EndFinder)
    assert importlib.import_module is not plain
    assert importlib.import_module.__module__ == "importlib"
    spaces.close()
    assert importlib.import_module is plain


def test_code_of_this_process_does_not_see_shipped_modules(spaces: Spaces) -> None:
    source = FakeSource(FILES)
    space = connect(spaces, source)
    helpers = space.module(*source.ref("helpers"))
    asked = len(source.asked)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("other")
    assert importlib.util.find_spec("other") is None
    assert len(source.asked) == asked
    assert helpers.call(helpers.get, "other").X == 1


def test_shipped_code_anywhere_on_the_stack(spaces: Spaces) -> None:
    source = FakeSource(FILES)
    helpers = connect(spaces, source).module(*source.ref("helpers"))

    def own(name: str):
        return importlib.import_module(name)

    assert helpers.call(own, "other").X == 1


def test_importing_is_for_this_thread_and_context(spaces: Spaces) -> None:
    source = FakeSource(FILES)
    space = connect(spaces, source)
    found: list[object] = []
    with space.importing():
        assert current_space(None) is space
        assert importlib.import_module("other").X == 1
        thread = threading.Thread(target=lambda: found.append(current_space(None)))
        thread.start()
        thread.join(10)
        inner = spaces.of("0" * 16, "b@c")
        with inner.importing():
            assert current_space(None) is inner
        assert current_space(None) is space
        context = contextvars.copy_context()
    assert found == [None]
    assert current_space(None) is None
    assert context.run(current_space, None) is space


def test_the_nearest_code_counts(spaces: Spaces) -> None:
    one, other = FakeSource(FILES), FakeSource(FILES | {"other.py": "X = 'second'\n"})
    first = connect(spaces, one, "1" * 16).module(*one.ref("helpers"))
    second = connect(spaces, other, "2" * 16).module(*other.ref("helpers"))
    assert first.call(second.call, first.get, "other").X == "second"
    assert second.call(first.call, second.get, "other").X == 1
    with spaces.of("1" * 16, "").importing():
        assert second.call(second.get, "other").X == "second"
        assert importlib.import_module("other").X == 1


def test_submodules_are_found_by_whoever_has_the_package(spaces: Spaces) -> None:
    source = FakeSource(FILES)
    pkg = connect(spaces, source).module(*source.ref("pkg"))
    assert importlib.import_module("pkg.sub").X == 2
    assert pkg.sub is sys.modules["pkg.sub"]
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'pkg\.nothing'"):
        importlib.import_module("pkg.nothing")


def test_an_import_of_something_else_costs_one_call(spaces: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    space = connect(spaces, FakeSource(FILES))
    calls: list[str] = []

    def find_spec(self: EndFinder, name: str, path: object = None, target: object = None) -> None:
        calls.append(name)

    monkeypatch.setattr(EndFinder, "find_spec", find_spec)
    monkeypatch.setattr(type(space), "entry", lambda *_: pytest.fail("the origin was asked"))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    importlib.import_module("colorsys")  # found by another finder
    assert calls == []
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("not_there_at_all")
    assert calls == ["not_there_at_all"]


def test_the_path_of_a_shipped_package_is_no_directory(spaces: Spaces, tmp_path: Path) -> None:
    """A file of that name here, where the origin has its own, is not taken for the origin's."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "sub.py").write_text("X = 'this disk'\n")
    source = FakeSource(FILES, root=str(tmp_path))
    space = connect(spaces, source)
    pkg = space.module(*source.ref("pkg"))
    assert pkg.__file__ == str(tmp_path / "pkg" / "__init__.py")
    assert importlib.import_module("pkg.sub").X == 2
    assert not os.path.exists(pkg.__path__[0])


def test_pkgutil_lists_what_is_known(spaces: Spaces) -> None:
    source = FakeSource(
        FILES
        | {"pkg/user.py": "from . import sub\nimport pkg.deep.er\n", "pkg/deep/__init__.py": "", "pkg/deep/er.py": ""}
    )
    space = connect(spaces, source)
    space.module(*source.ref("pkg.user"))
    pkg = sys.modules["pkg"]
    assert [(each.name, each.ispkg) for each in pkgutil.iter_modules(pkg.__path__)] == [
        ("deep", True),
        ("sub", False),
        ("user", False),
    ]
    assert [each.name for each in pkgutil.walk_packages(pkg.__path__, "pkg.")] == [
        "pkg.deep",
        "pkg.deep.er",
        "pkg.sub",
        "pkg.user",
    ]


def test_invalidated_caches(spaces: Spaces) -> None:
    source = FakeSource(FILES)
    connect(spaces, source).module(*source.ref("pkg"))
    importlib.invalidate_caches()
    assert importlib.import_module("pkg.sub").X == 2


def test_import_module_by_keyword_and_relative(spaces: Spaces) -> None:
    one, other = FakeSource(FILES), FakeSource(FILES | {"pkg/sub.py": "X = 'second'\n"})
    for source, origin, expected in [(one, "1" * 16, 2), (other, "2" * 16, "second")]:
        space = connect(spaces, source, origin)
        pkg = space.module(*source.ref("pkg"))
        with space.importing():
            assert expected == importlib.import_module(name="pkg.sub").X
            assert expected == importlib.import_module(".sub", pkg.__name__).X
            assert importlib.util.find_spec(name="pkg.sub").name == f"{pkg.__name__}.sub"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_uses_what_is_here_and_asks_nobody(spaces: Spaces) -> None:
    source = FakeSource(FILES)
    space = connect(spaces, source)
    helpers = space.module(*source.ref("helpers"))
    space.prefetch(["other"])
    source.gate.clear()  # a child that asks hangs, and the test fails
    with space._lock, spaces._lock, space.fetching._lock:
        child = os.fork()
        if not child:
            try:
                fine = helpers.call(helpers.get, "other").X == 1
                try:
                    space.module("unknown", 1, b"")
                except ImportError:
                    os._exit(0 if fine else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
