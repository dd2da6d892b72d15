"""codec: what a body may import and where, and the hook by which a layer above sends code."""

from __future__ import annotations

import datetime
import marshal
import pickle
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest

from beampy.core.ids import Pid
from beampy.core.signals import Crash
from beampy.errors import EncodeError
from beampy.wire.codec import FOREIGN, PLAIN, Decoder, Encoder, NeedsImport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE, CREATION = "a@localhost", 1
MODULE = "codec_probe"
SOURCE = """
import sys

class Thing:
    def __init__(self, value): self.value = value
    def __eq__(self, other): return (type(self), self.value) == (type(other), other.value)

class Oops(Exception):
    pass

def function(): ...
"""


def encoder(hook: Any = None) -> Encoder:
    return Encoder(HERE, CREATION, export=lambda ref: None, hook=hook)


def body(message: Any, hook: Any = None) -> tuple[int, bytes]:
    kind, parts, _ = encoder(hook).encode(message)
    return kind, b"".join(parts)


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module that can be imported, and is."""
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop(MODULE, None)
    yield __import__(MODULE)
    sys.modules.pop(MODULE, None)


def test_a_foreign_body_waits_for_its_module(probe: Any) -> None:
    messages = [[probe.Thing(1)], probe.function, probe.Thing, Crash.of(probe.Oops("x"))]
    bodies = [body(message) for message in messages]
    for kind, data in bodies:
        decoder = Decoder(HERE, CREATION)
        assert kind == FOREIGN
        decoder.decode_now(kind, data)  # it is loaded
        del sys.modules[MODULE]
        with pytest.raises(NeedsImport) as needs:
            decoder.decode_now(kind, data)
        assert needs.value.module == MODULE
        assert MODULE not in sys.modules
        decoder.decode(kind, data)
        assert MODULE in sys.modules
        decoder.decode_now(kind, data)


def test_a_foreign_body_waits_for_a_module_that_another_thread_imports(
    probe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, data = body(probe.function)
    begun, go = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "codec_probe_events", (begun, go), raising=False)
    (tmp_path / f"{MODULE}.py").write_text(
        "import sys\n\ndef function(): ...\n\nbegun, go = sys.codec_probe_events\nbegun.set()\nassert go.wait(20)\n"
    )
    del sys.modules[MODULE]
    thread = threading.Thread(target=__import__, args=(MODULE,))
    thread.start()
    try:
        assert begun.wait(20)
        assert MODULE in sys.modules
        with pytest.raises(NeedsImport):
            Decoder(HERE, CREATION).decode_now(kind, data)
    finally:
        go.set()
        thread.join(20)
    Decoder(HERE, CREATION).decode_now(kind, data)


def test_a_module_that_is_not_there_is_an_error_in_a_thread(probe: Any) -> None:
    kind, data = body(probe.Thing(1))
    data = data.replace(MODULE.encode(), b"codec_nobod")
    with pytest.raises(NeedsImport):
        Decoder(HERE, CREATION).decode_now(kind, data)
    with pytest.raises(ModuleNotFoundError, match="codec_nobod"):
        Decoder(HERE, CREATION).decode(kind, data)
    kind, data = body(probe.Thing(1))
    with pytest.raises(AttributeError, match="Thimg"):
        Decoder(HERE, CREATION).decode_now(kind, data.replace(b"Thing", b"Thimg"))


GLOBALS = [
    b"\x80\x05\x8c\x0b%(module)s\x8c\x05Thing\x93.",  # STACK_GLOBAL
    b"c%(module)s\nThing\n.",  # GLOBAL
    b"(i%(module)s\nThing\n.",  # INST
    b"\x80\x02c%(module)s\nThing\n)\x81.",  # GLOBAL and NEWOBJ of protocol 2, with fix_imports
    pickle.dumps(datetime.date(2024, 1, 1), 5),
    pickle.dumps(Pid(HERE, 1, 1), 5),
    pickle.dumps(len, 5),
    b"cbuiltins\neval\n(S'1'\ntR.",
]


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("data", GLOBALS, ids=range(len(GLOBALS)))
def test_a_plain_body_finds_no_names_at_all(probe: Any, data: bytes, loaded: bool) -> None:
    data = data.replace(b"%(module)s", MODULE.encode())
    if not loaded:
        del sys.modules[MODULE]
    decoder = Decoder(HERE, CREATION)
    for decode in (decoder.decode_now, decoder.decode):
        for kind in (PLAIN, 2 << 1):
            with pytest.raises(pickle.UnpicklingError, match="a body of plain data asks for the module"):
                decode(kind, data)
    assert (MODULE in sys.modules) == loaded


def test_a_plain_body_finds_no_extension_codes(probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import copyreg

    del sys.modules[MODULE]
    copyreg.add_extension(MODULE, "Thing", 250)
    try:
        with pytest.raises(pickle.UnpicklingError, match="plain data"):
            Decoder(HERE, CREATION).decode_now(PLAIN, b"\x80\x05\x82\xfa.")
    finally:
        copyreg.remove_extension(MODULE, "Thing", 250)
    assert MODULE not in sys.modules


def test_a_crash_in_a_plain_body_comes_without_its_exception(probe: Any) -> None:
    """No encoder marks it so."""
    crash = Crash.of(probe.Oops("x"))
    kind, data = body(crash)
    assert kind == FOREIGN
    copy = Decoder(HERE, CREATION).decode_now(PLAIN, data)
    assert copy == crash
    assert copy.exception is None


def test_code_that_a_foreign_body_runs_imports_as_it_likes(probe: Any) -> None:
    """Only finding its names is bound: the code of its classes lives in the world it was written in."""
    kind, data = body([Importing()])
    del sys.modules[MODULE]
    Decoder(HERE, CREATION).decode_now(kind, data)
    assert MODULE in sys.modules


class Importing:
    def __getstate__(self) -> Any:
        return 1

    def __setstate__(self, state: Any) -> None:
        __import__(MODULE)


# the hook


def rebuild(code: bytes, name: str, cells: tuple[Any, ...]) -> Any:
    closure = tuple(map(types.CellType, cells))
    return types.FunctionType(marshal.loads(code), globals(), name, None, closure)


class Carrier:
    """Sends functions by value, and knows one name that no module has."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.found: list[Any] = []

    def encode(self, obj: Any) -> Any:
        self.asked.append(obj)
        if isinstance(obj, types.FunctionType) and obj is not rebuild:
            cells = tuple(cell.cell_contents for cell in obj.__closure__ or ())
            return rebuild, (marshal.dumps(obj.__code__), obj.__name__, cells)
        return NotImplemented

    def find(self, module: str, name: str, *, now: bool) -> Any:
        self.found.append((module, name, now))
        if module == "cell":
            if now:
                raise NeedsImport(module)
            return f"{name} of a cell"
        return NotImplemented


def test_a_closure_travels_with_a_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    by = 5
    pid = Pid(HERE, 1, CREATION)

    def add(n: int) -> Any:
        return n + by, pid

    add.__module__ = "__main__"
    hook = Carrier()
    kind, data = body({"fn": add}, hook)
    assert kind == FOREIGN
    assert hook.asked == [add, rebuild]
    decoder = Decoder(HERE, CREATION, hook)
    for decode in (decoder.decode_now, decoder.decode):
        assert decode(kind, data)["fn"](1) == (6, pid)
    assert hook.found == [(__name__, "rebuild", True), (__name__, "rebuild", False)]
    with pytest.raises(EncodeError, match=r"message\['fn'\], function add"):
        encoder().encode({"fn": add})


def test_a_hook_sees_classes_and_may_leave_them() -> None:
    hook = Carrier()
    encoder(hook).encode([datetime.date(2024, 1, 1), Importing, Pid(HERE, 1, CREATION), 5])
    assert hook.asked == [datetime.date, Importing]

    class Local: ...

    with pytest.raises(EncodeError, match="class Local"):
        encoder(hook).encode(Local)


def test_a_hook_finds_names_in_time() -> None:
    data = b"\x80\x05\x8c\x04cell\x8c\x01f\x93."
    decoder = Decoder(HERE, CREATION, Carrier())
    with pytest.raises(NeedsImport, match="cell"):
        decoder.decode_now(FOREIGN, data)
    assert decoder.decode(FOREIGN, data) == "f of a cell"
    with pytest.raises(pickle.UnpicklingError, match="plain data"):
        decoder.decode(PLAIN, data)


def test_with_a_hook_modules_are_imported_in_time_as_well(probe: Any) -> None:
    kind, data = body([probe.Thing(1), Pid(HERE, 3, CREATION)])
    del sys.modules[MODULE]
    decoder = Decoder(HERE, CREATION, Carrier())
    with pytest.raises(NeedsImport, match=MODULE):
        decoder.decode_now(kind, data)
    assert MODULE not in sys.modules
    assert decoder.decode(kind, data)[1] == Pid(HERE, 3, CREATION)


def test_what_a_hook_raises_is_an_encode_error() -> None:
    class Broken(Carrier):
        def encode(self, obj: Any) -> Any:
            raise SystemExit("hook")

    with pytest.raises(EncodeError, match="SystemExit: hook"):
        encoder(Broken()).encode([rebuild])
