"""The code that the code benchmarks ship: cells, helpers and packages, each made anew and never seen before.

The rule: everybody runs the same text. A cell is run as a notebook runs it, in `__main__` and with its source known to
linecache. A package is a folder of files with their .pyc, as it lies beside a script.

    >>> len(helpers_text(0)) > 100_000
    True
"""

from __future__ import annotations

import itertools
import linecache
import py_compile
import sys
import time
from pathlib import Path
from typing import Any

HELPERS = 300
PART = 20  # modules in each subpackage; a package's imports are as deep as it has subpackages
MODULUS = 1_000_003  # what keeps results small

# From the milliseconds since 1970: no earlier run has left its code in a cache of this user.
_numbers = itertools.count(time.time_ns() // 1_000_000)


def number() -> int:
    """Another one each time: what makes a text new."""
    return next(_numbers)


def run_cell(text: str, *names: str) -> list[Any]:
    """Run a cell in `__main__`, and give what it has under these names."""
    file = f"<cell {number()}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space = sys.modules["__main__"].__dict__
    exec(compile(text, file, "exec"), space)  # what a notebook does
    return [space[name] for name in names]


# A cell with one function, in both colours: beampy runs the first, its peers the second.
_CELL = '''\
{define} {name}(x):
    """The sum of the products of the first x numbers."""
    total = {new}
    for i in range(x):
        total += i * {new}
    return total
'''


def cell_text(name: str, new: int, *, plain: bool = False) -> str:
    """A cell that defines one function, `name`; `cell_result` is what it returns for 3."""
    return _CELL.format(define="def" if plain else "async def", name=name, new=new)


def cell_result(new: int) -> int:
    """What the function of that cell returns for 3."""
    return 4 * new


_HELPER = '''
def helper_{i}(x):
    """Step {i} of the computation: it scales what it is given and hands it to the steps after it."""
    scale, offset = {scale}, {offset}
    if not isinstance(x, int):
        raise TypeError(f"helper_{i}: a whole number is needed, not {{x!r}}")
    total = x * scale + offset
    if total >= {modulus}:
        total %= {modulus}
{calls}    return total
'''


def helper_text(i: int, new: int) -> str:
    """One of them. Each calls the two after it in the tree, the leaves nobody."""
    calls = "".join(
        f"    total = (total + helper_{k}(total)) % {MODULUS}\n" for k in (2 * i + 1, 2 * i + 2) if k < HELPERS
    )
    return _HELPER.format(i=i, scale=i * 7 % 13 + 1, offset=new + i, modulus=MODULUS, calls=calls)


def helpers_text(new: int, *, plain: bool = False) -> str:
    """300 functions that call each other, more than 100 KB, and `compute`, which calls the first of them."""
    top = f"{'def' if plain else 'async def'} compute(x):\n    return helper_0(x)\n"
    return "".join(helper_text(i, new) for i in range(HELPERS)) + top


# A module of a package: 3 to 6 KB of imports, constants, classes and functions.
_HEAD = '''\
"""Module {i} of {package}, number {new}: rows of orders, and what is computed from them.

The rows come from the modules before this one. Nothing here keeps state but the table of rates, which is read by the
functions below and by `Ledger`. Amounts are whole numbers of the smallest unit, so that sums are exact.
"""

from __future__ import annotations

import collections
import functools
import math
from typing import TYPE_CHECKING, Any
{imports}
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RATES = {{"basic": {new} % 7 + 1, "reduced": 3, "none": 0, "export": {i} % 5}}
LIMITS = tuple(range({i} % 17, {i} % 17 + 12))
NAMES = ("north", "south", "east", "west", "module {i}")


class OrderError(Exception):
    """An order of module {i} that cannot be taken."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(number, why)
        self.number = number
        self.why = why

    def __str__(self) -> str:
        return f"order {{self.number}} of module {i} cannot be taken: {{self.why}}"


class Ledger:
    """Sums by name. A ledger of one module can be merged into that of another one."""

    __slots__ = ("_sums", "_seen")

    def __init__(self, start: Iterable[tuple[str, int]] = ()) -> None:
        self._sums: collections.Counter[str] = collections.Counter()
        self._seen = 0
        for name, amount in start:
            self.add(name, amount)

    def add(self, name: str, amount: int) -> None:
        """Add an amount; OrderError where it is not a whole number."""
        if not isinstance(amount, int):
            raise OrderError(self._seen, f"{{amount!r}} is not a whole number")
        self._sums[name] += amount * RATES.get("basic", 1)
        self._seen += 1

    def merge(self, other: Ledger) -> Ledger:
        for name, amount in other:
            self._sums[name] += amount
        return self

    @property
    def total(self) -> int:
        """Of all names."""
        return sum(self._sums.values())

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(sorted(self._sums.items()))

    def __len__(self) -> int:
        return len(self._sums)


def rate(kind: str, default: int = 0) -> int:
    """The rate of a kind of order."""
    return RATES.get(kind, default)


def split(amount: int, parts: int) -> list[int]:
    """An amount in that many parts that differ by 1 at most."""
    if parts < 1:
        raise ValueError(f"split: 1 part or more, not {{parts}}")
    each, rest = divmod(amount, parts)
    return [each + (1 if at < rest else 0) for at in range(parts)]


@functools.lru_cache(maxsize=64)
def weight(number: int) -> int:
    """How much an order counts."""
    return int(math.sqrt(number * {new} % 10_007)) + LIMITS[number % len(LIMITS)]


def value(x: int) -> int:
    """What this module makes of a number: its own part, and those of the modules that it imports."""
    ledger = Ledger((name, weight(x + at)) for at, name in enumerate(NAMES))
    return ledger.total{calls}
'''
_BLOCK = '''

def report_{k}(rows: Iterable[dict[str, Any]], *, kind: str = "basic", limit: int = {k}) -> dict[str, int]:
    """Report {k}: the sums of rows by name, those above the limit; a row without an amount counts as {k}."""
    sums: dict[str, int] = {{}}
    for row in rows:
        name, amount = str(row.get("name", NAMES[0])), int(row.get("amount", {k}))
        sums[name] = sums.get(name, 0) + amount * rate(kind, {k})
    return {{name: amount for name, amount in sorted(sums.items()) if amount > limit}}
'''
_DATACLASS = '''

@dataclasses.dataclass(frozen=True)
class Order:
    """An order of module {i}."""

    number: int
    name: str = NAMES[0]
    amount: int = 0

    def share(self, parts: int) -> list[int]:
        return split(self.amount, parts)
'''
_WORK = '''

async def work(x: int) -> int:
    """What is called from another node."""
    return value(x)


async def version() -> int:
    """Which text this is."""
    return {new}
'''


def module_text(package: str, i: int, new: int, before: tuple[str, ...], *, entry: bool = False) -> str:
    """A module that imports those `before`; every fifth has a dataclass, and sizes vary. `entry` adds `work`."""
    names = [f"value_{at}" for at in range(len(before))]
    lines = [
        f"from {module} import value as {name}, Ledger as Ledger_{name[6:]}"
        for module, name in zip(before, names, strict=True)
    ]
    if i % 5 == 0:
        lines = ["import dataclasses", *lines]
    imports = "".join(f"{line}\n" for line in lines)
    calls = "".join(f" + {name}(x) % 101" for name in names[:1])  # one path through them: a sum, not 2**10 of them
    text = _HEAD.format(i=i, package=package, new=new, imports=imports, calls=calls)
    text += "".join(_BLOCK.format(k=k) for k in range(1, 1 + i % 6))
    if i % 5 == 0:
        text += _DATACLASS.format(i=i)
    return text + _WORK.format(new=new) if entry else text


def write_package(folder: Path, count: int) -> str:
    """Write `count` modules that no one has seen, with their .pyc; the name of the one to call `work` of.

    One is a file; more are a package, in which each module imports two of the subpackage before its own, in turns by
    absolute and by relative names, and the entry all of the last subpackage.
    """
    new = number()
    package = f"made_{new}"
    if count == 1:
        _write(folder / f"{package}.py", module_text(package, 0, new, (), entry=True))
        return package
    top = folder / package
    _write(top / "__init__.py", f'"""A package of {count} modules, number {new}."""\n')
    parts = [range(at, min(at + PART, count - 1)) for at in range(0, count - 1, PART)]
    for at, part in enumerate(parts):
        _write(top / f"part_{at}" / "__init__.py", f'"""Part {at} of number {new}."""\n')
        for i in part:
            base = f"{package}.part_{at - 1}" if i % 2 else f"..part_{at - 1}"
            before = [parts[at - 1][k % PART] for k in (i, i + 3)] if at else []
            text = module_text(package, i, new, tuple(f"{base}.module_{k}" for k in before))
            _write(top / f"part_{at}" / f"module_{i}.py", text)
    last = tuple(f"{package}.part_{len(parts) - 1}.module_{i}" for i in parts[-1])
    for_all = tuple(
        f"{package}.part_{len(parts) - 2}.module_{i}" for i in (parts[-2] if len(parts) > 1 else ())
    )  # the last subpackage may be short: then it imports only some of the one before
    _write(top / "entry.py", module_text(package, count - 1, new, last + for_all, entry=True))
    return f"{package}.entry"


def edit_module(module: Any) -> int:
    """Edit the file of an entry module: the number that its `version` returns from then on."""
    path, new = Path(module.__file__), number()
    text, _, _ = path.read_text().rpartition("    return ")
    # Longer than it was: a .pyc is told from others by the size of its source, and the second it was written in.
    path.write_text(f"{text}    return {new}\n\n\nEDITED = {new}\n")
    return new


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    py_compile.compile(str(path), doraise=True)
