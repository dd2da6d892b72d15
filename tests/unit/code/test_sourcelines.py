"""The statement that code stands in: whole, alone, and the right one."""

from __future__ import annotations

import importlib.util
import itertools
import linecache
from collections.abc import Iterator
from textwrap import dedent
from types import CodeType

import pytest

from beampy.code.sourcelines import starts_at, statement

_numbers = itertools.count(1)


def nested(code: CodeType) -> Iterator[CodeType]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from nested(const)


def compiled(source: str) -> CodeType:
    path = f"<lines {next(_numbers)}>"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    return compile(source, path, "exec", dont_inherit=True)


def found(source: str, name: str) -> tuple[str, int]:
    (code,) = [each for each in nested(compiled(dedent(source))) if each.co_qualname == name]
    return statement(code)


@pytest.mark.parametrize(
    "module", ["json.decoder", "dataclasses", "enum", "inspect", "asyncio.base_events", "unittest.mock", "typing"]
)
def test_all_code_of_real_modules_is_found_and_compiles_by_itself(module: str) -> None:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    with open(spec.origin) as file:
        source = file.read()
    for code in nested(compile(source, spec.origin, "exec", dont_inherit=True)):
        if code.co_name.startswith("<generic parameters"):  # never a function's
            continue
        text, first = statement(code)
        whole = compile("\n" * (first - 1) + text, "", "exec", code.co_flags & 0x1FF0000, dont_inherit=True)
        same = [
            each
            for each in nested(whole)
            if (each.co_qualname, each.co_firstlineno, starts_at(each))
            == (code.co_qualname, code.co_firstlineno, starts_at(code))
        ]
        assert len(same) == 1, code.co_qualname
        assert (same[0].co_names, same[0].co_varnames) == (code.co_names, code.co_varnames)


CASES = {
    # the source; the name; its statement
    "one of many": ("x = 1\n\ndef f():\n    return 1\n\n# about g\ndef g(): pass\n", "f", "def f():\n    return 1\n"),
    "decorated": (
        "import a\n@deco(\n    1,\n)\n@other\ndef f():\n    return 1\ny = 2\n",
        "f",
        "@deco(\n    1,\n)\n@other\ndef f():\n    return 1\n",
    ),
    "a decorator that is a lambda": (
        "@(lambda f: f)\ndef f(): return 1\nx = 1\n",
        "<lambda>",
        "@(lambda f: f)\ndef f(): return 1\n",
    ),
    "text at the margin": (
        'def f():\n    return """\nx = 1\ndef g(): pass\n"""\n\ndef h(): pass\n',
        "f",
        'def f():\n    return """\nx = 1\ndef g(): pass\n"""\n',
    ),
    "a comment at the margin": (
        "def f():\n    a = 1\n# here\n    return a\nz = 1\n",
        "f",
        "def f():\n    a = 1\n# here\n    return a\n",
    ),
    "in an if": (
        "if x:\n    def f(): return 1\nelif y:\n    pass\nelse:\n    def g(): return 2\nz = 1\n",
        "g",
        "if x:\n    def f(): return 1\nelif y:\n    pass\nelse:\n    def g(): return 2\n",
    ),
    "in a try": (
        "try:\n    import x\nexcept ImportError:\n    def f(): return 1\nfinally:\n    pass\nz = 1\n",
        "f",
        "try:\n    import x\nexcept ImportError:\n    def f(): return 1\nfinally:\n    pass\n",
    ),
    "a lambda over lines": (
        "t = {\n    'a': lambda x: (\n        x + 1\n    ),\n}\nu = 1\n",
        "<lambda>",
        "t = {\n    'a': lambda x: (\n        x + 1\n    ),\n}\n",
    ),
    "a method": (
        "class A:\n    n = 1\n\n    def f(self):\n        return 1\nz = 1\n",
        "A.f",
        "class A:\n    n = 1\n\n    def f(self):\n        return 1\n",
    ),
    "continued lines": ("f = \\\nlambda: 1\nz = 1\n", "<lambda>", "f = \\\nlambda: 1\n"),
    "async": ("async def f():\n    await g()\nz = 1\n", "f", "async def f():\n    await g()\n"),
}


@pytest.mark.parametrize("what", CASES)
def test_the_statement_is_whole_and_nothing_else(what: str) -> None:
    source, name, text = CASES[what]
    assert found(source, name)[0] == text


def test_the_line_is_the_statements_first() -> None:
    assert found("\n\nx = 1\n@deco\ndef f(): pass\n", "f") == ("@deco\ndef f(): pass\n", 4)


def test_lines_that_are_of_something_else_are_not_taken() -> None:
    code = compiled("def f():\n    return 1\n")
    path = code.co_filename
    linecache.cache[path] = (3, None, ["x = 1\n", "y = 2\n"], path)
    (f,) = nested(code)
    assert statement(f) == ("", 0)
    linecache.cache[path] = (3, None, [], path)
    assert statement(f) == ("", 0)


def test_lambdas_of_one_line_start_at_different_columns() -> None:
    one, two = nested(compiled("both = lambda: a, lambda: b\n"))
    assert starts_at(one) == (1, 15)
    assert starts_at(two) == (1, 26)
