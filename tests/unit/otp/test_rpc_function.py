"""The function of a remote call: its kind, the name it travels under, and what names mean."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

import pytest

from beampy.errors import BadFunction
from beampy.otp import rpc_function
from beampy.otp.rpc_function import found, kind_of, portable, shown, streams


async def coroutine() -> None: ...


def plain() -> None: ...


def generator() -> Any:
    yield


async def async_generator() -> Any:
    yield


class Object:
    async def __call__(self) -> None: ...

    def numbers(self) -> Any:
        yield

    class Inner:
        @staticmethod
        def deep() -> str:
            return "deep"


@functools.wraps(coroutine)
def wrapped() -> Any:
    return coroutine()


@pytest.mark.parametrize(
    ("fn", "kind"),
    [
        (coroutine, "async"),
        (plain, "plain"),
        (generator, "generator"),
        (async_generator, "async generator"),
        (functools.partial(async_generator), "async generator"),
        (functools.partial(functools.partial(coroutine)), "async"),
        (Object(), "async"),
        (Object().numbers, "generator"),
        (Object, "plain"),
        (len, "plain"),
        (wrapped, "async"),
        (lambda: 1, "plain"),
    ],
)
def test_kinds(fn, kind):
    assert kind_of("call", fn) == kind
    assert streams(kind) == ("generator" in kind)


def test_what_is_no_function():
    with pytest.raises(BadFunction, match="int"):
        kind_of("call", 7)
    with pytest.raises(BadFunction, match="leave out the call"):
        kind_of("call", coroutine())


def test_functions_of_modules_travel_by_name_and_others_as_themselves(monkeypatch):
    assert portable(plain) == f"{__name__}:plain"
    assert portable(Object.Inner.deep) == f"{__name__}:Object.Inner.deep"
    assert portable(Object) == f"{__name__}:Object"
    assert portable(len) == "builtins:len"
    for other in (lambda: 1, Object(), functools.partial(plain), Object().numbers, "mod.fn"):
        assert portable(other) is other

    def local() -> None: ...

    assert portable(local) is local
    monkeypatch.setattr(local, "__module__", "__main__")
    monkeypatch.setattr(local, "__qualname__", "local")
    monkeypatch.setattr(sys.modules["__main__"], "local", local, raising=False)
    assert portable(local) is local
    monkeypatch.setattr(local, "__module__", "not.imported")
    assert portable(local) is local
    original = plain
    monkeypatch.setitem(globals(), "plain", local)
    assert portable(original) is original  # its name means something else by now


async def test_names():
    assert await found("os.getpid") is os.getpid
    assert await found("os.path.join") is os.path.join
    assert await found("os:path.join") is os.path.join
    assert await found(f"{__name__}.Object.Inner.deep") is Object.Inner.deep
    assert await found(portable(plain)) is plain


async def test_submodules_that_are_not_imported_yet(tmp_path, monkeypatch):
    package = tmp_path / "rpc_package"
    package.mkdir()
    (package / "__init__.py").write_text("other = 1\n")
    (package / "late.py").write_text("class A:\n    @staticmethod\n    def fn(): return 1\n")
    (package / "broken.py").write_text("import rpc_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert (await found("rpc_package.late.A.fn"))() == 1
        with pytest.raises(ModuleNotFoundError, match="rpc_not_there"):
            await found("rpc_package.broken.fn")
        with pytest.raises(AttributeError, match="missing"):
            await found("rpc_package.late.missing")
        with pytest.raises(AttributeError, match="missing"):
            await found("rpc_package:missing")
    finally:
        for name in [name for name in sys.modules if name.startswith("rpc_package")]:
            del sys.modules[name]


@pytest.mark.parametrize("name", ["fn", "", ".fn", "mod.", "a..b"])
async def test_what_is_no_name(name):
    with pytest.raises(ValueError, match="'module"):
        await found(name)


async def test_a_module_that_is_not_there():
    for name in ("no_such_module.fn", "no_such_module.a.b.fn", "no_such_module:fn"):
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            await found(name)


class Knowing:
    """A node's Code: `plain` travels, and whatever is asked for is `plain`."""

    def __init__(self, *shipped: str) -> None:
        self.modules = shipped
        self.asked: list[Any] = []

    def travels(self, fn: Any) -> bool:
        return fn is plain

    def named(self, name: str) -> Any:
        return (name, "a@h")

    def shipped(self, module: str) -> bool:
        return module.partition(".")[0] in self.modules

    def find(self, name: Any) -> Any:
        self.asked.append(name)
        return plain


def test_functions_that_travel_go_as_themselves_and_names_with_their_place():
    code = Knowing()
    assert portable(plain, code) is plain
    assert portable(Object, code) == (f"{__name__}:Object", "a@h")
    assert portable("mod.fn", code) == ("mod.fn", "a@h")
    assert shown(portable("mod:Class.fn", code)) == "mod.Class.fn"


async def test_a_name_is_the_callees_where_it_has_it_else_the_callers():
    code = Knowing()
    assert await found(("os.getpid", "a@h"), code) is os.getpid
    assert await found("os.getpid", code) is os.getpid
    assert code.asked == []
    assert await found(("no_such_module.fn", "a@h"), code) is plain
    assert code.asked == [("no_such_module.fn", "a@h")]
    with pytest.raises(ModuleNotFoundError, match=r"'no_such_module\.fn' names no function"):
        await found("no_such_module.fn", code)
    with pytest.raises(ModuleNotFoundError, match=r"'no_such_module\.fn' names no function"):
        await found(("no_such_module.fn", "a@h"))
    assert await found(("os:missing", "a@h"), code) is plain  # an older one, say
    assert code.asked[1:] == [("os:missing", "a@h")]
    with pytest.raises(AttributeError, match="missing"):
        await found("os:missing", code)


async def test_what_came_from_another_node_is_not_the_callees_own():
    code = Knowing("tests")
    assert await found((f"{__name__}.coroutine", "a@h"), code) is plain
    assert code.asked == [(f"{__name__}.coroutine", "a@h")]
    with pytest.raises(ModuleNotFoundError, match="names no function"):
        await found(f"{__name__}.coroutine", code)
    assert await found(f"{__name__}.coroutine", Knowing("other")) is coroutine


def test_how_functions_are_shown():
    assert shown(plain) == f"{__name__}.plain"
    assert shown("mod:Class.fn") == "mod.Class.fn"
    assert shown(functools.partial(plain)) == f"{__name__}.plain"
    assert shown(Object()) == "Object"
    assert rpc_function.shown(len) == "builtins.len"

    def load() -> None: ...

    load.__module__, load.__qualname__ = "nonode_7c6483.__main__", "load"  # as it is on another node
    assert shown(load) == "__main__.load"
