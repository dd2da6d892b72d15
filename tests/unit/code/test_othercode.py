"""Code of another Python: compiled from its source here, or said to be of none; its lines in tracebacks."""

from __future__ import annotations

import inspect
import linecache
import traceback
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from beampy.code import othercode
from beampy.code.othercode import compiled_here, remember_lines
from beampy.errors import VersionSkew

PATH = "<a cell of another process>"


def made(
    text: str, name: str, line: int, *, first: int = 1, flags: int = 0, start: tuple[int, int] | None = None
) -> CodeType:
    return compiled_here("3.99.0", PATH, text, first, name, line, flags, start)


def test_it_is_found_by_its_name_and_line() -> None:
    text = "class A:\n    def f(self): return 1\nif x:\n    def f(): return 2\nelse:\n    def f(): return 3\n"
    assert FunctionType(made(text, "A.f", 12, first=11), {})(None) == 1
    assert FunctionType(made(text, "f", 4), {})() == 2
    assert FunctionType(made(text, "f", 6), {})() == 3
    assert made(text, "f", 14, first=11).co_firstlineno == 14
    assert made(text, "f", 4).co_filename == PATH


def test_of_two_in_a_line_it_is_that_which_starts_there() -> None:
    text = "both = lambda: [1], lambda: [2]\n"
    assert FunctionType(made(text, "<lambda>", 1, start=(1, 15)), {})() == [1]
    assert FunctionType(made(text, "<lambda>", 1, start=(1, 28)), {})() == [2]
    for start in (None, (1, 3)):
        with pytest.raises(VersionSkew):
            made(text, "<lambda>", 1, start=start)


def test_future_imports_of_its_cell_count() -> None:
    import __future__

    text = "def f(x: nothing): pass\n"
    code = made(
        "def g():\n    def f(x: nothing): pass\n    return f\n", "g", 1, flags=__future__.annotations.compiler_flag
    )
    assert FunctionType(code, {})().__annotations__ == {"x": "nothing"}
    with pytest.raises(NameError):
        FunctionType(made("def g():\n    def f(x: nothing): pass\n    return f\n", "g", 1), {})()
    assert made(text, "f", 1)


def test_top_level_await_of_a_notebook_is_no_error() -> None:
    assert made("x = await g(lambda: 3)\n", "<lambda>", 1)


@pytest.mark.parametrize("text", ["", "def f(:\n", "def g(): pass\n", "%magic f\n"])
def test_without_the_source_it_names_both_versions(text: str) -> None:
    with pytest.raises(
        VersionSkew, match=r"f \(<a cell of another process>:1\)' cannot be used.*Python 3\.99\.0"
    ) as caught:
        made(text, "f", 1)
    assert "put it into a module" in str(caught.value)


def test_tracebacks_and_inspect_show_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(othercode, "_remembered", type(othercode._remembered)())
    text = "def f():\n    return 1 / 0  # there\n"
    try:
        remember_lines(PATH, text, 5)
        remember_lines(PATH, "def g():\n    pass\n", 2)
        fn = FunctionType(made(text, "f", 5, first=5), {})
        with pytest.raises(ZeroDivisionError) as caught:
            fn()
        assert "return 1 / 0  # there" in "".join(traceback.format_exception(caught.value))
        assert inspect.getsource(fn) == text
        assert linecache.getlines(PATH) == [
            "\n",
            "def g():\n",
            "    pass\n",
            "\n",
            "def f():\n",
            "    return 1 / 0  # there\n",
        ]
        linecache.checkcache(PATH)
        assert linecache.getline(PATH, 6) == "    return 1 / 0  # there\n"
    finally:
        linecache.cache.pop(PATH, None)


def test_lines_of_this_process_stay(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("mine = 1\n")
    remember_lines(str(path), "theirs = 1\n", 1)
    assert linecache.getline(str(path), 1) == "mine = 1\n"
    cell = "<a cell of this process>"
    linecache.cache[cell] = (9, None, ["mine = 1\n"], cell)
    try:
        remember_lines(cell, "theirs = 1\n", 1)
        assert linecache.getline(cell, 1) == "mine = 1\n"
    finally:
        linecache.cache.pop(cell, None)


def test_the_oldest_files_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(othercode, "_remembered", type(othercode._remembered)())
    monkeypatch.setattr(othercode, "MOST", 3)
    paths = [f"<forgotten {n}>" for n in range(5)]
    try:
        for path in paths:
            remember_lines(path, "x = 1\n", 1)
        assert [path in linecache.cache for path in paths] == [False, False, True, True, True]
    finally:
        for path in paths:
            linecache.cache.pop(path, None)
