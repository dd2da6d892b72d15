"""The records that travel as a number and their fields: beampy's own NamedTuples, which every message may contain.

Rule: a record's class is never looked up by name. Both sides know its number, so a message made of plain data,
identities and records can be read without an import and without anybody else's code. What the numbers mean is part
of the protocol: a number is never given to another class, and a class never changes its fields.

This module registers what core says to processes; layers above register their own messages when they are imported.
It does not know what a record means, nor how one is written: that is codec.py's.
"""

from __future__ import annotations

from typing import Any

from beampy.core.signals import Down, Exit, NodeDown, NodeUp, Timeout

LAST = 31  # a kind is seven bits, and two of them say something else; the last number is the codec's own (codec.py)
FIRST = 2  # 0 and 1 are identities and crashes, which are no NamedTuples (codec.py)

CODES: dict[type, int] = {}
# For each number its class and how many fields it has; a number that is not taken has -1 of them.
# One place more than there are numbers: a remote reference has it, which is never a message's own record (codec.py).
SHAPES: list[tuple[type, int]] = [(tuple, -1)] * (LAST + 2)


def register_record(code: int, cls: type[tuple[Any, ...]]) -> None:
    """Let `cls`, a NamedTuple, travel as record number `code` (2 to 30; beampy's own core has 2 to 15).

    Every node must give a number to the same class. ValueError: the number is out of range or taken, or the class
    has another one. Doing it twice changes nothing.

    >>> register_record(16, Call)
    """
    if not FIRST <= code < LAST:
        raise ValueError(f"a record's number is {FIRST} to {LAST - 1}, not {code}")
    taken, size = SHAPES[code]
    if size >= 0 and _name(taken) != _name(cls):
        raise ValueError(f"record {code} is {_name(taken)} and cannot be {_name(cls)}")
    if CODES.get(cls, code) != code:
        raise ValueError(f"{_name(cls)} is record {CODES[cls]} and cannot be {code} as well")
    fields: tuple[str, ...] = getattr(cls, "_fields", ())
    if not fields:
        raise ValueError(f"{_name(cls)} is no NamedTuple with fields")
    CODES.pop(taken, None)  # the same class of before its module was loaded again
    CODES[cls] = code
    SHAPES[code] = (cls, len(fields))


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


for _code, _cls in enumerate((Down, Exit, Timeout, NodeUp, NodeDown), FIRST):
    register_record(_code, _cls)
