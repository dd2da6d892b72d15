"""Erlang's recorded answers, and the decorators that compare a test's answer with them.

The test of a probe is called `test_<probe>`. It does in beampy what the probe does in Erlang (the probes are
vectors/probes_*.erl) and returns what it saw; it runs as a process of a node of its own.

    @probe                              the answer is Erlang's
    @probe({BADARG: BadDestination})    it is, where these terms of Erlang's are read as these of ours
    @differs(otp="none", ours="one")    it is not: core/SEMANTICS.md says why, under the test's name
    @table("alias")                     all rows of a table: the test gets `row`, the probe with its input
    @process()                          no probe: only run it as a process

What every test reads in the same way is in `_idiom`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from beampy import Pid, Ref
from beampy.core.ids import NO_NODE
from beampy.core.signals import Crash, Down, Exit
from beampy.testing import harness
from beampy.testing.substrate import NAMES

VECTORS = Path(__file__).with_name("vectors")

Body = Callable[..., Coroutine[Any, Any, Any]]
Reading = dict[Any, Any] | list[tuple[Any, Any]]  # pairs where a term has lists in it

BADARG = ("error", "badarg")


class Some:
    """Equals everything of a kind: what a recorded pid, reference or stack trace stands for."""

    def __init__(self, name: str, fits: Callable[[Any], bool]) -> None:
        self.name = name
        self.fits = fits

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Some):
            return self.name == other.name
        return bool(self.fits(other))

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<{self.name}>"


A_PID = Some("a pid", lambda x: isinstance(x, Pid))
A_REF = Some("a ref", lambda x: isinstance(x, Ref))
A_STACK = Some("a stack", lambda x: isinstance(x, list))
A_FUN = Some("a function", callable)
A_NODE = Some("a node", lambda x: x in (NO_NODE, *NAMES))
KINDS = {"pid": A_PID, "ref": A_REF, "stack": A_STACK, "fun": A_FUN, "node": A_NODE}


def crashed(message: str) -> Some:
    """Equals the Crash of an exception with this message."""
    return Some(f"a crash: {message}", lambda x: isinstance(x, Crash) and x.message == message)


@dataclass(frozen=True)
class Probe:
    """One probe: its name, the file that has it, its input where it is a row of a table, and Erlang's answer."""

    name: str
    file: str
    what: str
    input: dict[str, Any]
    value: Any


def decode(term: Any) -> Any:
    """A term of the JSON files as Python's: atoms are strings, what varies from run to run equals its kind."""
    match term:
        case list():
            return [decode(item) for item in term]
        case {"t": items}:
            return tuple(decode(item) for item in items)
        case {"m": pairs}:
            return {decode(key): decode(value) for key, value in pairs}
        case {"b": text}:
            return text.encode()
        case dict():
            return KINDS[next(iter(term))]
    return term


def _probes() -> Iterator[Probe]:
    for path in sorted(VECTORS.glob("*.json")):
        for name, probe in json.loads(path.read_text(encoding="utf-8"))["probes"].items():
            given = {key: decode(value) for key, value in probe.get("input", {}).items()}
            yield Probe(name, path.name, probe["what"], given, decode(probe["value"]))


PROBES = {probe.name: probe for probe in _probes()}


# Erlang's terms read as ours


def _idiom(term: Any) -> Any:
    """The same thing in beampy, for what is the same in every test."""
    match term:
        case "undefined":
            return None
        case ("EXIT", pid, reason):
            return Exit(pid, reason)
        case ("DOWN", ref, "process", target, reason):
            return Down(ref, target, reason)
        case (str() as error, stack) if stack is A_STACK:
            return crashed(error)
        case (str() as kind, (reason, ("gen_server" | "sys", _, _))):
            return (kind, reason)  # what a call raised, without the description of the call
    return term


def read(term: Any, reading: Reading) -> Any:
    """`term` with everything in it that `reading` or `_idiom` knows put in our words."""
    for theirs, ours in reading.items() if isinstance(reading, dict) else reading:
        if term.__class__ is theirs.__class__ and term == theirs:
            return ours
    said = _idiom(term)
    if said is not term and said != term:
        return read(said, reading) if said.__class__ is tuple else _parts(said, reading)
    return _parts(term, reading)


def _parts(term: Any, reading: Reading) -> Any:
    if isinstance(term, list):
        return [read(part, reading) for part in term]
    if isinstance(term, tuple):
        parts = [read(part, reading) for part in term]
        return term._make(parts) if hasattr(term, "_make") else tuple(parts)
    return term


def erlang(name: str, reading: Reading | None = None) -> Any:
    """What Erlang answered to a probe, in our words."""
    return read(PROBES[name].value, reading or {})


def compare(name: str, answer: Any, wanted: Any) -> None:
    """Fail with both answers when they are not equal."""
    assert answer == wanted, f"{PROBES[name].what}\nbeampy: {answer!r}\nErlang: {wanted!r}"


# decorators


def process(**options: Any) -> Callable[[Body], Body]:
    """The test runs as a process of a fresh node on the test's loop. `options` are the node's."""

    def decorate(body: Body) -> Body:
        @functools.wraps(body)
        async def test(**fixtures: Any) -> None:
            await harness.run(functools.partial(body, **fixtures), **options)

        return test

    return decorate


def probe(reading: Reading | Body | None = None, **options: Any) -> Any:
    """What the test returns is what Erlang answered."""
    if callable(reading):
        return probe()(reading)

    def decorate(body: Body) -> Body:
        name = body.__name__.removeprefix("test_")
        wanted = erlang(name, reading)

        @functools.wraps(body)
        async def test(**fixtures: Any) -> None:
            compare(name, await harness.run(functools.partial(body, **fixtures), **options), wanted)

        return test

    return decorate


DIFFERS: set[str] = set()  # tests that hold an irregularity; filled as the test modules are imported


def differs(*, otp: Any, ours: Any, **options: Any) -> Callable[[Body], Body]:
    """What the test returns is `ours`, and Erlang's answer is `otp`: a difference that is meant."""

    def decorate(body: Body) -> Body:
        name = body.__name__.removeprefix("test_")
        compare(name, otp, erlang(name))

        @functools.wraps(body)
        async def test(**fixtures: Any) -> None:
            answer = await harness.run(functools.partial(body, **fixtures), **options)
            assert answer == ours, f"{PROBES[name].what}\nbeampy: {answer!r}\nmeant: {ours!r}"

        return test

    return decorate


def rows(name: str) -> list[Probe]:
    """The probes of a table, whose names begin with `name/`."""
    found = [probe for probe in PROBES.values() if probe.name.startswith(f"{name}/")]
    assert found, f"no table {name}"
    return found


def table(name: str, reading: Reading | None = None, **options: Any) -> Callable[[Body], Any]:
    """One test for each row; it takes the row, as `row`, and returns what it saw."""

    def decorate(body: Body) -> Any:
        @pytest.mark.parametrize("row", rows(name), ids=lambda row: row.name)
        @functools.wraps(body)
        async def test(row: Probe, **fixtures: Any) -> None:
            answer = await harness.run(functools.partial(body, row=row, **fixtures), **options)
            compare(row.name, answer, read(row.value, reading or {}))

        return test

    return decorate
