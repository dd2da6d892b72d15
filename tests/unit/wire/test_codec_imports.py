"""codec: what a body may import and where, and the hook by which a layer above sends code."""

from __future__ import annotations

import datetime
import functools
import marshal
import pickle
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest

from beampy.core.ids import Pid, Ref
from beampy.core.signals import Crash, Down
from beampy.errors import EncodeError
from beampy.wire.codec import (
    ADDRESSED,
    DEFINED,
    FOREIGN,
    MADE,
    PLAIN,
    PROLOGUE,
    Decoder,
    Encoder,
    NeedsImport,
)
from beampy.wire.codec_loads import loads_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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


class Carrier:
    """Sends functions by value and modules by name, and has some of what it is asked for."""

    kinds = frozenset({types.ModuleType})

    def __init__(self, *, has: bool = True) -> None:
        self.has = has
        self.asked: list[Any] = []
        self.told: list[Any] = []
        self.read = 0

    def encode(self, obj: Any) -> Any:
        self.asked.append(obj)
        if isinstance(obj, types.FunctionType):
            cells = tuple(cell.cell_contents for cell in obj.__closure__ or ())
            return MADE, (DEFINED, (marshal.dumps(obj.__code__), obj.__name__, cells))
        if isinstance(obj, types.ModuleType):
            return MADE, (DEFINED, (obj.__name__,))
        return NotImplemented

    def made(self, fields: Any, now: bool) -> Any:
        self.told.append((len(fields), now))
        if now and not self.has:
            raise NeedsImport("code of another node")
        self.has = True
        if len(fields) == 1:
            return sys.modules[fields[0]]
        code, name, cells = fields
        return types.FunctionType(marshal.loads(code), globals(), name, None, tuple(map(types.CellType, cells)))

    def loads(self, body: Any, buffers: Iterable[Any]) -> Any:
        self.read += 1
        return pickle.loads(body, buffers=buffers)

    def loads_known(self, body: Any, buffers: Iterable[Any]) -> Any:
        return loads_known(body, buffers)


def adding(by: Any, pid: Pid) -> Any:
    def add(n: int) -> Any:
        return n + by, pid

    add.__module__ = "__main__"
    return add


def test_a_closure_travels_with_a_hook() -> None:
    pid = Pid(HERE, 1, CREATION)
    add = adding(5, pid)
    hook = Carrier()
    kind, data = body({"fn": add}, hook)
    assert kind == FOREIGN
    assert hook.asked == [add]
    decoder = Decoder(HERE, CREATION, hook)
    for decode in (decoder.decode_now, decoder.decode):
        assert decode(kind, data)["fn"](1) == (6, pid)
    assert hook.told == [(3, True), (3, False)]
    assert hook.read == 1  # in the thread only
    with pytest.raises(EncodeError, match=r"message\['fn'\], function add"):
        encoder().encode({"fn": add})


def test_what_a_hook_has_not_yet_is_asked_for_again_in_a_thread() -> None:
    add = adding(5, Pid(HERE, 1, CREATION))
    kind, data = body([None, add], Carrier())
    hook = Carrier(has=False)
    decoder = Decoder(HERE, CREATION, hook)
    for _ in range(2):
        with pytest.raises(NeedsImport) as needs:
            decoder.decode_now(kind, data)
        assert needs.value.module == "code of another node"
    read: list[Any] = []
    thread = threading.Thread(target=lambda: read.append(decoder.decode(kind, data)[1](1)))
    thread.start()
    thread.join(20)
    assert read == [(6, Pid(HERE, 1, CREATION))]
    assert decoder.decode_now(kind, data)[1](1) == read[0]
    assert hook.told == [(3, True), (3, True), (3, False), (3, True)]


def test_what_a_hook_has_not_yet_in_a_record_and_in_a_crash() -> None:
    """Also an exception that a crash brings is waited for, and not left out."""
    add = adding(5, Pid(HERE, 1, CREATION))
    error = ValueError(add)
    ref, pid = Ref(HERE, 5, CREATION), Pid(HERE, 7, CREATION)
    for message in (Down(ref, pid, add, "DOWN"), Crash.of(error)):
        kind, data = body(message, Carrier())
        assert kind & FOREIGN
        hook = Carrier(has=False)
        decoder = Decoder(HERE, CREATION, hook)
        with pytest.raises(NeedsImport):
            decoder.decode_now(kind, data)
        copy: Any = decoder.decode(kind, data)
        fn = copy.exception.args[0] if isinstance(message, Crash) else copy.reason
        assert fn(1) == (6, Pid(HERE, 1, CREATION))


def test_a_hook_sees_classes_and_may_leave_them() -> None:
    hook = Carrier()
    encoder(hook).encode([datetime.date(2024, 1, 1), Importing, Pid(HERE, 1, CREATION), 5])
    assert hook.asked == [datetime.date, Importing]

    class Local: ...

    with pytest.raises(EncodeError, match="class Local"):
        encoder(hook).encode(Local)
    Local.__module__, Local.__qualname__ = "__main__", "Local"
    with pytest.raises(EncodeError, match="__main__ is another module"):
        encoder(hook).encode(Local)


def test_a_hook_sees_objects_of_its_kinds(probe: Any) -> None:
    hook = Carrier()
    kind, data = body([probe, b"x"], hook)
    assert kind == FOREIGN
    assert hook.asked == [probe]
    assert Decoder(HERE, CREATION, hook).decode_now(kind, data) == [probe, b"x"]
    hook.kinds = frozenset()
    with pytest.raises(EncodeError, match=r"message\[0\], module"):
        encoder(hook).encode([probe])
    assert hook.asked == [probe]


DEFINITION = PROLOGUE + b"h\x02K\x1f(K\x01K\x02K\x03t\x86R."  # entry 2, called with (31, (1, 2, 3))
DOWN = 2 << 1


def calling(number: int, *fields: Any) -> bytes:
    """An addressed record whose last field is made by number, as the request of a call is."""
    return PROLOGUE + pickle.dumps((5, 7, None, number, *fields), 5)


def test_a_plain_body_never_reaches_a_hook() -> None:
    hook = Carrier()
    decoder = Decoder(HERE, CREATION, hook)
    for decode in (decoder.decode_now, decoder.decode):
        for kind, data in [
            (PLAIN, DEFINITION),
            (DOWN | ADDRESSED, calling(DEFINED, 1)),
            (DEFINED << 1, PROLOGUE + pickle.dumps((1,), 5)),
        ]:
            with pytest.raises(pickle.UnpicklingError, match=r"a record 31 of \d fields is not known here"):
                decode(kind, data)
    with pytest.raises(pickle.UnpicklingError, match="plain data"):
        decoder.decode(PLAIN, b"\x80\x05\x8c\x04cell\x8c\x01f\x93.")
    message = [Pid(HERE, 3, CREATION), Ref(HERE, 5, CREATION), (1, "x")]
    kind, data = body(message, hook)
    assert kind == PLAIN
    assert decoder.decode(kind, data) == decoder.decode_now(kind, data) == message
    assert (hook.asked, hook.told, hook.read) == ([], [], 0)


def test_a_plain_record_brings_no_exception_in_its_last_field(probe: Any) -> None:
    """No encoder marks it so."""
    data = calling(1, "T", "m", "tb", (*body(probe.Oops("x")), ()))
    decoder = Decoder(HERE, CREATION)
    for decode in (decoder.decode_now, decoder.decode):
        crash = decode(DOWN | ADDRESSED, data).tag
        assert crash == Crash("T", "m", "tb", None)
        assert crash.exception is None
        assert type(decode(DOWN | ADDRESSED | FOREIGN, data).tag.exception) is probe.Oops


def test_a_definition_without_a_hook_is_refused() -> None:
    decoder = Decoder(HERE, CREATION)
    for decode in (decoder.decode_now, decoder.decode):
        with pytest.raises(pickle.UnpicklingError, match="a record 31 of 3 fields is not known here"):
            decode(FOREIGN, DEFINITION)
    hook = Carrier()
    with pytest.raises(TypeError):  # it is the hook's then
        Decoder(HERE, CREATION, hook).decode(FOREIGN, DEFINITION)
    assert hook.told == [(3, False)]


def test_a_thread_reads_as_the_hook_says(probe: Any) -> None:
    """What a body names and is not here is the hook's to find, where waiting is allowed."""

    class Finding(Carrier):
        def loads(self, body: Any, buffers: Iterable[Any]) -> Any:
            self.read += 1
            sys.modules[MODULE] = probe
            return pickle.loads(body, buffers=buffers)

    data = [bytearray(b"x" * 20_000)]
    kind, parts, buffers = encoder().encode([probe.function, pickle.PickleBuffer(data[0])])
    assert len(buffers) == 1
    del sys.modules[MODULE]
    hook = Finding()
    decoder = Decoder(HERE, CREATION, hook)
    with pytest.raises(NeedsImport, match=MODULE):
        decoder.decode_now(kind, b"".join(parts), [bytearray(data[0])])
    assert hook.read == 0
    assert decoder.decode(kind, b"".join(parts), [bytearray(data[0])]) == [probe.function, data[0]]
    assert hook.read == 1


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
        encoder(Broken()).encode([adding])


def test_the_cause_of_a_hooks_own_encode_error_is_kept() -> None:
    class Refusing(Carrier):
        def encode(self, obj: Any) -> Any:
            raise EncodeError("a function", "its global LOCK is a lock")

    with pytest.raises(EncodeError) as refused:
        encoder(Refusing()).encode({"fn": adding})
    assert refused.value.what.startswith("message['fn'], function adding")
    assert refused.value.cause == "its global LOCK is a lock"


def test_what_a_hook_raises_when_it_reads_is_an_exception() -> None:
    class Broken(Carrier):
        def made(self, fields: Any, now: bool) -> Any:
            raise SystemExit("hook")

    decoder = Decoder(HERE, CREATION, Broken())
    for decode in (decoder.decode_now, decoder.decode):
        with pytest.raises(pickle.UnpicklingError, match="SystemExit: hook"):
            decode(FOREIGN, DEFINITION)


def test_what_a_function_holds_is_named() -> None:
    lock = threading.Lock()
    hook = Carrier()
    with pytest.raises(EncodeError) as refused:
        encoder(hook).encode([1, {"fn": adding(lock, Pid(HERE, 1, CREATION))}])
    assert refused.value.what.startswith("the variable 'by' of message[1]['fn'], lock <")
    assert "cannot pickle" in refused.value.cause

    class WithDefaults(Carrier):
        def encode(self, obj: Any) -> Any:
            if not isinstance(obj, types.FunctionType):
                return NotImplemented
            return MADE, (DEFINED, (obj.__defaults__, obj.__kwdefaults__, obj.__dict__))

    def positional(a: Any, b: Any = [lock], c: Any = 1) -> None: ...  # noqa: B006
    def keyword(a: Any = 1, *, b: Any = 2, d: Any = lock) -> None: ...
    def attribute() -> None: ...

    attribute.held = lock  # type: ignore[attr-defined]
    places: list[tuple[Any, str]] = [
        (positional, "the default 'b' of message.func[0]"),
        (keyword, "the default 'd' of message.func"),
        (attribute, "message.func.held"),
    ]
    for fn, place in places:
        with pytest.raises(EncodeError) as refused:
            encoder(WithDefaults()).encode(functools.partial(fn))
        assert refused.value.what.startswith(f"{place}, lock <")
