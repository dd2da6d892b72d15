"""Digests of code, what code refers to, and versions: one case for each thing that counts or does not."""

from __future__ import annotations

import gc
import opcode
import os
import subprocess
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from beampy.code import manifest
from beampy.code.manifest import code_digest, components, digest, globals_of, imports_of, versions


def module(source: str, filename: str = "<cell>") -> types.CodeType:
    return compile(source, filename, "exec", dont_inherit=True)


def function(source: str, filename: str = "<cell>") -> types.CodeType:
    """The code of the first thing that is defined in the source."""
    return next(const for const in module(source, filename).co_consts if isinstance(const, types.CodeType))


# ---- digests ----


def test_a_digest_has_16_bytes_of_the_content_and_takes_a_view_of_it() -> None:
    assert len(digest(b"x")) == manifest.SIZE == 16
    assert digest(b"x") == digest(memoryview(b"-x-")[1:2]) != digest(b"y")


SAME = {
    "file": (function("def f(): return g(1)", "a.py"), function("def f(): return g(1)", "b.py")),
    "line": (function("def f(): return g(1)"), function("\n" * 500 + "def f(): return g(1)")),
    "comment": (function("def f():\n  # one\n  return 1"), function("def f():\n\n\n  return 1")),
    "class line": (
        function("class C:\n  x = 1\n  def f(self): self.a = self.b = 1"),
        function("\n" * 500 + "class C:\n  x = 1\n  def f(self): self.a = self.b = 1"),
    ),
    # On 3.13 the line is a constant of the class body, and here it is that of x too: their indices are one.
    "class line shared": (function("class C:\n  x = 1\n  y = 2"), function("\nclass C:\n  x = 1\n  y = 2")),
    "not a number": (
        function("def f(): return 1e999 - 1e999"),
        function("def f(): return -(1e999 - 1e999)").replace(co_code=function("def f(): return 1e999 - 1e999").co_code),
    ),
}
DIFFERENT = {
    "int and float": "def f(): return 1\ndef f(): return 1.0",
    "int and bool": "def f(): return 1\ndef f(): return True",
    "zeros": "def f(): return 0.0\ndef f(): return -0.0",
    "complex zeros": "def f(): return 0j\ndef f(): return -0j",
    "str and bytes": "def f(): return 'a'\ndef f(): return b'a'",
    "ellipsis and none": "def f(): return ...\ndef f(): return None",
    "surrogates": "def f(): return '\\ud800\\udc00'\ndef f(): return '\\U00010000'",
    "lone surrogates": "def f(): return '\\ud800'\ndef f(): return '\\ud801'",
    "nested tuples": "def f(): return ((1, 2), 3)\ndef f(): return (1, (2, 3))",
    "nested tuples, open": "def f(): return ((1,), 2)\ndef f(): return ((1, 2),)",
    "nested types": "def f(): return (1, (2,))\ndef f(): return (1, (2.0,))",
    "tuple and frozenset": "def f(x): return x in (1, 'a')\ndef f(x): return x in {1, 'a'}",
    "frozensets": "def f(x): return x in {1, 'a'}\ndef f(x): return x in {1, 'b'}",
    "global name": "def f(): return g\ndef f(): return h",
    "attribute": "def f(x): return x.a\ndef f(x): return x.b",
    "name": "def f(): return 1\ndef g(): return 1",
    "argument name": "def f(x): return x\ndef f(y): return y",
    "argument count": "def f(x): y = 1\ndef f(x, y): y = 1",
    "keyword only": "def f(x): return x\ndef f(*, x): return x",
    "positional only": "def f(x): return x\ndef f(x, /): return x",
    "star": "def f(x): return x\ndef f(*x): return x",
    "stars": "def f(*x): return x\ndef f(**x): return x",
    "generator": "def f(): return 1\ndef f(): yield 1",
    "coroutine": "def f(): return 1\nasync def f(): return 1",
    "docstring": "def f(): 'one'\ndef f(): 'two'",
    "exception table": "def f():\n  try: g()\n  except E: h()\ndef f():\n  try: g(); h()\n  except E: h()",
    "nested": "def f():\n  def g(): return 1\n  return g\ndef f():\n  def g(): return 2\n  return g",
    "nested lambda": "def f(): return lambda: a\ndef f(): return lambda: b",
    "cell": "def f(x): return lambda: x\ndef f(x): return lambda: y",
    "class body": "class C:\n  x = 1\nclass C:\n  x = 2",
    "class attributes": "class C:\n  def f(self): self.a = 1\nclass C:\n  def f(self): self.b = 1",
}


@pytest.mark.parametrize("case", SAME)
def test_where_code_was_compiled_is_no_part_of_its_digest(case: str) -> None:
    one, other = SAME[case]
    assert one is not other
    assert code_digest(one) == code_digest(other)


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_code_does_is_part_of_its_digest(case: str) -> None:
    one, other = [const for const in module(DIFFERENT[case]).co_consts if isinstance(const, types.CodeType)]
    assert code_digest(one) != code_digest(other)


# A function that has some of everything, and other values for its parts.
WHOLE = """
def f(a, b, /, c, *, d):
  x, y, z = 1, 2, g
  try: return lambda: (x, y)
  except z: pass
"""
PARTS: dict[str, Any] = {
    "co_argcount": 2,
    "co_posonlyargcount": 1,
    "co_kwonlyargcount": 0,
    "co_flags": 0x3 | 0x80,
    "co_names": ("h",),
    "co_varnames": ("a", "b", "c", "e", "z"),
    "co_cellvars": ("x", "w"),
    "co_exceptiontable": b"",
    "co_name": "g",
    "co_qualname": "C.f",
    "co_consts": (None,),
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_a_function_counts(part: str) -> None:
    code = function(WHOLE)
    assert getattr(code, part) != PARTS[part]
    assert code_digest(code.replace(**{part: PARTS[part]})) != code_digest(code) == code_digest(code.replace())


def test_the_names_that_a_closure_has_from_outside_count() -> None:
    inner = next(const for const in function(WHOLE).co_consts if isinstance(const, types.CodeType))
    assert inner.co_freevars == ("x", "y")
    assert code_digest(inner.replace(co_freevars=("x", "w"))) != code_digest(inner)


@pytest.mark.parametrize("place", [{"co_filename": "b"}, {"co_firstlineno": 7}, {"co_linetable": b""}])
def test_no_place_counts(place: dict[str, Any]) -> None:
    assert code_digest(function(WHOLE).replace(**place)) == code_digest(function(WHOLE))


def test_what_a_class_stores_as_its_line_itself_counts() -> None:
    source = "class C:\n  __firstlineno__ = {}\n  x = 1"
    assert code_digest(function(source.format(7))) != code_digest(function(source.format(8)))


def test_a_big_class_whose_constants_need_wide_arguments_keeps_its_digest_too() -> None:
    source = "class C:\n" + "".join(f"  x{number} = {number}.5\n" for number in range(600))
    assert code_digest(function(source)) == code_digest(function("\n" * 300 + source))
    assert code_digest(function(source)) != code_digest(function(source.replace("599.5", "599.25")))


def test_functions_of_different_classes_differ_though_their_code_objects_are_equal() -> None:
    one, other = (function(f"def {name}():\n  def f(): return 1").co_consts[1] for name in "ab")
    assert one == other
    assert one.co_qualname != other.co_qualname
    assert code_digest(one) != code_digest(other)


@pytest.mark.parametrize("constant", [[], object(), int, type("Int", (int,), {})(1)])
def test_a_constant_that_no_compiler_makes_is_an_error(constant: object) -> None:
    with pytest.raises(TypeError, match="no compiler makes"):
        code_digest(function("def f(): return 1").replace(co_consts=(constant,)))


TRACED = """
import sys
from beampy.code.manifest import code_digest, globals_of
scope = {}
exec("def f(n):\\n  total = 0\\n  for i in range(n): total += len('a') + i\\n  return total", scope)
code = scope["f"].__code__
before = code_digest(code.replace())
sys.settrace(lambda *_: None)
scope["f"](100)
traced = code_digest(code.replace()), globals_of(code.replace())
sys.settrace(None)
scope["f"](100)
assert before == traced[0] == code_digest(code)
assert traced[1] == ("len", "range")
"""


def test_code_that_runs_and_is_traced_keeps_its_digest() -> None:
    """The interpreter rewrites instructions as they run, and others to watch them; in a process nobody else traces."""
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_digests_are_those_of_another_process_whatever_its_hash_seed() -> None:
    """Sets come in another order there."""
    program = (
        "from beampy.code.manifest import code_digest\n"
        "print(code_digest(compile('class C:\\n  def f(self):\\n    self.a = self.b = self.c = self.d = 1\\n'"
        '\'    return self in {"a", "b", "c", "d", 1}\', \'\', \'exec\')).hex())'
    )
    found = set()
    for seed in "1234":
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        found.add(subprocess.check_output([sys.executable, "-c", program], env=environment, timeout=20, text=True))
    assert len(found) == 1


# ---- what is remembered ----


def test_code_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    code = function("def f(): return g(lambda: h)")
    first = code_digest(code), globals_of(code)
    monkeypatch.setattr(manifest, "digest", None)
    monkeypatch.setattr(manifest, "_nested", None)
    assert (code_digest(code), globals_of(code)) == first


def test_what_is_remembered_is_bounded_and_keeps_no_code_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    known: manifest._Known[bytes] = manifest._Known()
    monkeypatch.setattr(manifest, "_digests", known)
    monkeypatch.setattr(manifest, "KNOWN", 10)
    codes = [function(f"def f(): return {number}") for number in range(25)]
    first = [code_digest(code) for code in codes]
    assert 0 < len(known._found) <= 10
    assert [code_digest(code) for code in codes] == first
    gone = weakref.ref(codes[-1])
    assert known.get(codes[-1]) == first[-1]
    del codes
    assert gone() is None


def test_code_at_the_address_of_code_that_is_gone_is_other_code() -> None:
    known: manifest._Known[int] = manifest._Known()
    places = set()
    for number in range(100):
        code = function(f"def f(): return {number}")
        assert known.get(code) is None
        places.add(id(code))
        known.put(code, number)
        del code
        gc.collect(0)
    assert len(places) < 100  # so that an address was used twice


# ---- what code refers to ----

GLOBALS: dict[str, tuple[str, tuple[str, ...]]] = {
    "load": ("def f(x): return g(x) + x.h", ("g",)),
    "call": ("def f(): return len(a)", ("a", "len")),
    "store": ("def f():\n  global a\n  a = 1", ("a",)),
    "delete": ("def f():\n  global a\n  del a", ("a",)),
    "local": ("def f():\n  a = 1\n  return a", ()),
    "free": ("def f(x): return lambda: x", ()),
    "nested": ("def f():\n  def g():\n    return lambda: deep\n  return g", ("deep",)),
    "class body": ("def f():\n  class C(base):\n    x = y\n  return C", ("__name__", "base", "y")),
    "comprehension": ("def f(x): return [g(y) for y in x if y in z]", ("g", "z")),
    "import": ("def f():\n  import a.b\n  from c import d\n  return a, d", ()),
    "once, in order": ("def f(): return b, a, b, a, c", ("a", "b", "c")),
    "method": ("class C:\n  def f(self): return super().f(a)", ("__name__", "a", "super")),
}


@pytest.mark.parametrize("case", GLOBALS)
def test_the_global_names_of_a_function(case: str) -> None:
    source, names = GLOBALS[case]
    assert globals_of(function(source)) == names


def test_the_global_names_of_more_than_256_are_all_there() -> None:
    """Their indices do not fit into one byte: first the shifted ones of LOAD_GLOBAL, then those of STORE_GLOBAL."""
    names = tuple(sorted(f"n{number}" for number in range(70_000)))
    assert globals_of(function("def f(): return [" + ",".join(names) + "]")) == names
    some = names[:700]
    stored = "\n".join(f"  {name} = 1" for name in some)
    assert globals_of(function(f"def f():\n  global {','.join(some)}\n{stored}")) == some


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are Python 3.12's")
def test_the_global_names_in_the_bounds_of_a_class_s_type_parameters() -> None:
    code = module("class C:\n  def f[T: bound](self, x: T) -> other: pass\n  type A = aliased")
    assert {"bound", "other", "aliased"} <= set(globals_of(code))


# Source, package, and what it imports.
IMPORTS: dict[str, tuple[str, str, str]] = {
    "plain": ("import a", "", "a"),
    "dotted": ("import a.b.c", "", "a a.b a.b.c"),
    "renamed": ("import a.b as x", "", "a a.b"),
    "from": ("from a import b, c", "", "a a.b a.c"),
    "from dotted": ("from a.b import c", "", "a a.b a.b.c"),
    "star": ("from a import *", "", "a"),
    "beside": ("from . import x", "p.q", "p p.q p.q.x"),
    "beside, of it": ("from .m import x", "p.q", "p p.q p.q.m p.q.m.x"),
    "above": ("from .. import x", "p.q", "p p.x"),
    "above, of it": ("from ..m import x", "p.q", "p p.m p.m.x"),
    "above the top": ("from ... import x", "p.q", ""),
    "no package": ("from . import x", "", ""),
    "in a function": ("def f():\n  def g():\n    import a", "", "a"),
    "in a class": ("class C:\n  from a import b", "", "a a.b"),
    "in a branch": ("try:\n  import a\nexcept ImportError:\n  import b", "", "a b"),
    "future": ("from __future__ import annotations", "", "__future__ __future__.annotations"),
    "none": ("x = len('import a')", "p", ""),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_the_modules_that_code_imports(case: str) -> None:
    source, package, names = IMPORTS[case]
    assert imports_of(module(source), package) == set(names.split())


def test_imports_among_more_than_256_names_and_constants_are_found() -> None:
    lines = [f"x{number} = {number}.5" for number in range(700)]
    source = "\n".join([*lines, "from .a import b", "import c.d"])
    assert imports_of(module(source), "p") == {"p", "p.a", "p.a.b", "c", "c.d"}


def changed(code: types.CodeType, change: Callable[[bytes], bytes]) -> types.CodeType:
    return code.replace(co_code=change(code.co_code))


def test_an_import_whose_arguments_are_not_plain_constants_may_be_of_either_kind() -> None:
    load, copy = opcode.opmap["LOAD_CONST"], opcode.opmap["COPY"]
    code = changed(module("import a.b"), lambda ops: ops.replace(bytes([load, 1]), bytes([copy, 1])))
    assert imports_of(code, "p") == {"a", "a.b", "p", "p.a", "p.a.b"}
    assert imports_of(code, "") == {"a", "a.b"}
    odd = module("import a.b").replace(co_consts=(0, "no names"))
    assert imports_of(odd, "p") == {"a", "a.b", "p", "p.a", "p.a.b"}
    first = changed(module("import a.b"), lambda ops: ops[ops.index(bytes([opcode.opmap["IMPORT_NAME"]])) :])
    assert imports_of(first, "") == {"a", "a.b"}


# ---- what refers to each other ----


def test_components_of_a_chain_longer_than_the_recursion_limit() -> None:
    size = 3 * sys.getrecursionlimit()
    chain = {number: [number + 1] for number in range(size)}
    assert components(chain) == [[number] for number in reversed(range(size))]
    circle = chain | {size - 1: [0]}
    assert [sorted(members) for members in components(circle)] == [list(range(size))]


def test_a_circle_of_nodes_that_look_alike_and_are_not() -> None:
    """It takes as many rounds as members to tell a from what is far from the odd one out, and as many versions."""
    size = 50
    circle: dict[str, tuple[bytes, list[str | bytes]]] = {
        f"n{number}": (b"odd" if number == 0 else b"same", [f"n{(number + 1) % size}"]) for number in range(size)
    }
    assert len(set(versions(circle).values())) == size
    alike = {name: (b"same", refs) for name, (_, refs) in circle.items()}
    assert len(set(versions(alike).values())) == 1
    assert set(versions(circle).values()).isdisjoint(versions(alike).values())


def test_the_order_and_the_number_of_references_count() -> None:
    def version(*refs: str | bytes) -> bytes:
        return versions({"f": (b"f", refs), "a": (b"a", []), "b": (b"b", [])})["f"]

    found = [version(), version("a"), version("b"), version("a", "b"), version("b", "a"), version("a", "a")]
    assert len(set(found)) == len(found)
    known = versions({"a": (b"a", list[str | bytes]())})["a"]
    assert version(known, "b") == version("a", "b")


def test_a_node_that_refers_to_itself_is_not_one_that_does_not() -> None:
    alone = versions({"f": (b"f", list[str | bytes]())})
    recursive: dict[str, bytes] = versions({"f": (b"f", ["f"])})
    assert alone["f"] != recursive["f"] != versions({"f": (b"g", ["f"])})["f"]


def test_a_reference_to_nothing_is_an_error() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        versions({"f": (b"f", ["nowhere"])})
