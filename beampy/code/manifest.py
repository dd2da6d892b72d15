"""What identifies code: digests of sources and of code objects, what they refer to, versions of what they make up.

The rule: equal digests do the same, wherever and whenever they were compiled. So a file name, a line number and the
order of a set are no part of a digest, and a constant's type is. Place: under everything else in code/, pure. It does
not know modules, files or nodes, nor what a name is bound to.
"""

from __future__ import annotations

import hashlib
import opcode
import struct
import sys
import weakref
from types import CodeType, EllipsisType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")

# 128 bits: no two of 2**40 sources share one, but for a chance of 2**-49.
SIZE: Final = 16
# Code objects remembered by one cache: 200 modules of 20 functions each, as measured in the stdlib, and twice that.
KNOWN: Final = 8192

_EXTENDED_ARG: Final = opcode.opmap["EXTENDED_ARG"]
_LOAD_CONST: Final = opcode.opmap["LOAD_CONST"]
_LOAD_SMALL_INT: Final = opcode.opmap.get("LOAD_SMALL_INT", -1)  # 3.14
_LOAD_GLOBAL: Final = opcode.opmap["LOAD_GLOBAL"]
_STORE_NAME: Final = opcode.opmap["STORE_NAME"]
_IMPORT_NAME: Final = opcode.opmap["IMPORT_NAME"]
_WITH_CONSTANT: Final = frozenset(opcode.hasconst)
# Their argument is an index of co_names. Class bodies read globals by LOAD_NAME, type parameters in them by the last.
_GLOBAL_NAMES: Final = tuple(
    opcode.opmap[name]
    for name in ("LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
    if name in opcode.opmap
)
_STORES: Final = (opcode.opmap["STORE_GLOBAL"], opcode.opmap["DELETE_GLOBAL"])
_LINES_IN_CLASSES: Final = sys.version_info >= (3, 13)
_OPTIMIZED: Final = 0x1  # inspect.CO_OPTIMIZED: a function, neither a class body nor a module


def digest(data: bytes | memoryview) -> bytes:
    """What content is addressed by: the blake2b of `data`, 16 bytes.

    >>> digest(b"").hex()
    'cae66941d9efbd404e4d88758ea67670'
    """
    return hashlib.blake2b(data, digest_size=SIZE).digest()


class _Known(Generic[V]):
    """What was found out about code objects, by identity: two that compare equal may differ in their qualname.

    At most `KNOWN` of them, then it starts anew. It keeps no code alive. Single dict operations only: safe in threads.
    """

    def __init__(self) -> None:
        self._found: dict[int, tuple[weakref.ref[CodeType], V]] = {}

    def get(self, code: CodeType) -> V | None:
        found = self._found.get(id(code))
        return found[1] if found is not None and found[0]() is code else None

    def put(self, code: CodeType, value: V) -> V:
        if len(self._found) >= KNOWN:
            self._found = {}
        self._found[id(code)] = (weakref.ref(code), value)
        return value


_digests: _Known[bytes] = _Known()
_globals: _Known[tuple[str, ...]] = _Known()


# ---- code objects ----


def code_digest(code: CodeType) -> bytes:
    """What this code does, 16 bytes: equal for equal functions of one Python version, whoever compiled them and where.

    The file, the lines and the positions are not in it; names, flags, arguments, instructions and constants are, and
    code nested in it. TypeError: a constant that no compiler makes.

    >>> def name(source): return code_digest(compile(source, "<cell>", "exec"))
    >>> name("def f(): return 1") == name("\\n\\ndef f(): return 1"), name("x = 1") == name("x = 1.0")
    (True, False)
    """
    known = _digests.get(code)
    if known is not None:
        return known
    out: list[bytes] = []
    plain: list[Any] = [
        *(code.co_name, code.co_qualname, code.co_flags),
        *(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        *(code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars, code.co_exceptiontable),
    ]
    if _LINES_IN_CLASSES and not code.co_flags & _OPTIMIZED and "__firstlineno__" in code.co_names:
        _class_body(code, out)
    else:
        plain += (code.co_code, code.co_consts)
    _constant(tuple(plain), out)
    return _digests.put(code, digest(b"".join(out)))


def _sized(tag: bytes, data: bytes) -> bytes:
    return b"%c%x:%b" % (tag, len(data), data)


def _float(value: float) -> bytes:
    # One not-a-number for all: the processor that folded it chose its sign.
    return struct.pack(">d", value) if value == value else b"nan"


# By exact type: 1, 1.0 and True are equal and do not do the same.
_SCALARS: Final[dict[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"N",
    EllipsisType: lambda _: b"E",
    bool: lambda value: b"T" if value else b"F",
    int: lambda value: b"i%x;" % value,
    float: lambda value: _sized(b"f", _float(value)),
    complex: lambda value: _sized(b"c", _float(value.real)) + _sized(b"c", _float(value.imag)),
    str: lambda value: _sized(b"s", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value: _sized(b"b", value),
    CodeType: lambda value: b"C" + code_digest(value),
}


def _constant(value: Any, out: list[bytes]) -> None:
    """Append what says this constant and no other; no encoding is the beginning of another one."""
    kind = type(value)
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        out.append(scalar(value))
    elif kind is tuple:
        out.append(b"(%x:" % len(value))
        for member in value:
            _constant(member, out)
    elif kind is frozenset:
        out.append(b"{%x:" % len(value))
        members: list[bytes] = []
        for member in value:
            parts: list[bytes] = []
            _constant(member, parts)
            members.append(b"".join(parts))
        out.extend(sorted(members))
    elif kind is slice:  # a constant since 3.14
        out.append(b"S")
        _constant((value.start, value.stop, value.step), out)
    else:
        raise TypeError(f"a code object's constant is a {kind.__qualname__}, which no compiler makes")


def _class_body(code: CodeType, out: list[bytes]) -> None:
    """A class body since 3.13: it stores the line that it starts at.

    So the instructions are read with their constants in place: the line may share its index with another constant.
    """
    out.append(b"B")
    line = code.co_names.index("__firstlineno__")
    instructions = list(_instructions(code.co_code))
    seen = False
    for at, (op, arg) in enumerate(instructions):
        if not seen and instructions[at + 1 : at + 2] == [(_STORE_NAME, line)]:
            seen = True  # the compiler's own comes first; one that the program stores counts
            out.append(b"l")
        elif op in _WITH_CONSTANT:
            out.append(b"%c" % op)
            _constant(code.co_consts[arg], out)
        else:
            out.append(b"%c%x;" % (op, arg))


def _instructions(bytecode: bytes) -> Iterator[tuple[int, int]]:
    """Each instruction's opcode and whole argument. co_code has zeros where the interpreter keeps its caches."""
    wide = 0
    for at in range(0, len(bytecode), 2):
        op, arg = bytecode[at], bytecode[at + 1] | wide
        if op == _EXTENDED_ARG:
            wide = arg << 8
        else:
            wide = 0
            yield op, arg


# ---- what code refers to ----


def globals_of(code: CodeType) -> tuple[str, ...]:
    """The global names that `code`, and all code nested in it, loads, stores or deletes; sorted, each once.

    Names of builtins are among them, and of a class body everything that it reads by name: whether a name is global
    there is only known when it runs.

    >>> globals_of((lambda x: [len(x), struct]).__code__)
    ('len', 'struct')
    """
    known = _globals.get(code)
    if known is not None:
        return known
    found: set[str] = set()
    for each in _nested(code):
        names = each.co_names
        if names:
            bytecode = each.co_code
            ops = bytecode[::2]
            found.update([names[_argument(bytecode, at) >> 1] for at in _places(ops, _LOAD_GLOBAL)])
            for op in _GLOBAL_NAMES:
                if op in ops:
                    found.update([names[_argument(bytecode, at)] for at in _places(ops, op)])
    return _globals.put(code, tuple(sorted(found)))


def stored_globals(code: CodeType) -> frozenset[str]:
    """The global names that `code`, and all code nested in it, assigns or deletes: those of a `global` statement.

    >>> sorted(stored_globals(compile("def f():\\n global n, m\\n n = m\\nx = 1", "", "exec")))
    ['n']
    """
    found: set[str] = set()
    for each in _nested(code):
        ops = each.co_code[::2] if each.co_names else b""
        for op in _STORES:
            if op in ops:
                found.update([each.co_names[_argument(each.co_code, at)] for at in _places(ops, op)])
    return frozenset(found)


def imports_of(code: CodeType, package: str) -> frozenset[str]:
    """The absolute names of the modules that this module's code imports, in its functions too, and of their parents.

    `package` is the module's `__package__`; "" if it has none, and then its relative imports are left out. Of
    `from a import b` come "a" and "a.b", whether or not that is a module. `__import__()` and importlib are not seen.

    >>> sorted(imports_of(compile("import a.b; from . import c", "", "exec"), "p"))
    ['a', 'a.b', 'p', 'p.c']
    """
    found: set[str] = set()
    for each in _nested(code):
        if not each.co_names:
            continue
        bytecode = each.co_code
        for at in _places(bytecode[::2], _IMPORT_NAME):
            name = each.co_names[_argument(bytecode, at)]
            level, members = _import_arguments(each, at)
            bases = [_absolute(name, package, level)]
            if level < 0:  # not known: it may be either
                bases = [name, _absolute(name, package, 1)]
            for base in filter(None, bases):
                found.add(base)
                found.update([f"{base}.{member}" for member in members if member != "*"])
    for name in list(found):
        while "." in name:
            name = name.rpartition(".")[0]
            found.add(name)
    return frozenset(found)


def _import_arguments(code: CodeType, at: int) -> tuple[int, tuple[str, ...]]:
    """The level and the names of the import at this place: the two constants loaded before it. -1: not as compiled."""
    bytecode, values = code.co_code, []
    for _ in range(2):
        at -= 1
        while at >= 0 and bytecode[2 * at] == _EXTENDED_ARG:  # the import's own, or those of the constant after this
            at -= 1
        op = bytecode[2 * at] if at >= 0 else -1
        if op == _LOAD_CONST:
            values.append(code.co_consts[_argument(bytecode, at)])
        elif op == _LOAD_SMALL_INT:
            values.append(_argument(bytecode, at))
        else:
            return -1, ()
    members, level = values
    if type(level) is not int or level < 0 or (members is not None and type(members) is not tuple):
        return -1, ()
    return level, tuple([member for member in members or () if type(member) is str])


def _absolute(name: str, package: str, level: int) -> str:
    """As importlib resolves it; "" where it leads above the top, or there is no package to start from."""
    if level <= 0:
        return name
    parts = package.split(".") if package else []
    if level > len(parts):
        return ""
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{name}" if name else base


def _nested(code: CodeType) -> Iterator[CodeType]:
    """This code and all code among its constants, however deep."""
    todo = [code]
    while todo:
        each = todo.pop()
        yield each
        todo.extend([const for const in each.co_consts if type(const) is CodeType])


def _places(ops: bytes, op: int) -> Iterator[int]:
    """The numbers of the instructions with this opcode."""
    at = ops.find(op)
    while at >= 0:
        yield at
        at = ops.find(op, at + 1)


def _argument(bytecode: bytes, at: int) -> int:
    """The argument of instruction number `at`, with its EXTENDED_ARGs: at most three, since arguments are 32 bits."""
    at *= 2
    arg, shift = bytecode[at + 1], 8
    while at >= 2 and bytecode[at - 2] == _EXTENDED_ARG and shift < 32:
        at -= 2
        arg |= bytecode[at + 1] << shift
        shift += 8
    return arg


# ---- what refers to each other ----


def components(graph: Mapping[K, Iterable[K]]) -> list[list[K]]:
    """The strongly connected components of the graph, those that others refer to first. Tarjan's, without recursion.

    References to what is no key of the graph are ignored.

    >>> components({"a": "b", "b": "ac", "c": "x"})
    [['c'], ['b', 'a']]
    """
    result: list[list[K]] = []
    number: dict[K, int] = {}  # in the order of discovery
    low: dict[K, int] = {}  # the smallest number that is reached from it within the stack
    stack: dict[K, None] = {}  # found and not yet in a component, in order
    for root in graph:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        stack[root] = None
        path = [(root, iter(graph[root]))]
        while path:
            node, targets = path[-1]
            for target in targets:
                if target in stack:
                    low[node] = min(low[node], number[target])
                elif target not in number and target in graph:
                    number[target] = low[target] = len(number)
                    stack[target] = None
                    path.append((target, iter(graph[target])))
                    break
            else:
                path.pop()
                if path:
                    parent = path[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == number[node]:
                    members: list[K] = []
                    while not members or members[-1] != node:
                        members.append(stack.popitem()[0])
                    result.append(members)
    return result


def versions(nodes: Mapping[K, tuple[bytes, Sequence[K | bytes]]]) -> dict[K, bytes]:
    """A version, 16 bytes, for each node: of its own digest and of the versions of what it refers to, in their order.

    A reference that is bytes is a version already known, so keys are not bytes. A change of a node changes its version
    and those of all that refer to it, however indirectly; nothing else does. The keys, and the order of the nodes, do
    not count. KeyError: a reference to what is no node.

    >>> before, after = versions({"f": (b"1", ["g"]), "g": (b"2", [])}), versions({"f": (b"1", ["g"]), "g": (b"3", [])})
    >>> before["f"] == after["f"]
    False
    """
    graph = {key: [ref for ref in refs if not isinstance(ref, bytes)] for key, (_, refs) in nodes.items()}
    result: dict[K, bytes] = {}
    for members in components(graph):
        if len(members) == 1 and members[0] not in graph[members[0]]:
            result[members[0]] = _merged(b"node", nodes[members[0]], result, {})
        else:
            result.update(_circle(members, nodes, result))
    return result


def _circle(
    members: list[K], nodes: Mapping[K, tuple[bytes, Sequence[K | bytes]]], known: Mapping[K, bytes]
) -> dict[K, bytes]:
    """Versions in a component, by rounds of refinement: each round tells apart what refers to what the last told apart.

    When a round tells no more apart, none will: at most as many rounds as members, and most often one. Then all of
    them together are the component's digest, and with it each member's own is its version.
    """
    told: dict[K, bytes] = dict.fromkeys(members, b"")
    apart = 1
    while True:
        told = {key: _merged(b"round", nodes[key], known, told) for key in members}
        if len(set(told.values())) == apart:
            break
        apart = len(set(told.values()))
    whole = digest(b"component" + b"".join(sorted(told.values())))
    return {key: digest(b"member" + whole + told[key]) for key in members}


def _merged(
    tag: bytes, node: tuple[bytes, Sequence[K | bytes]], known: Mapping[K, bytes], inner: Mapping[K, bytes]
) -> bytes:
    own, refs = node
    parts = [tag, _sized(b"o", own)]
    for ref in refs:
        if isinstance(ref, bytes):
            parts.append(_sized(b"v", ref))  # as the version of a node that is known by now
        elif ref in inner:
            parts.append(_sized(b"m", inner[ref]))
        else:
            parts.append(_sized(b"v", known[ref]))
    return digest(b"".join(parts))
