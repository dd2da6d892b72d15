"""errors: the drawing is the hierarchy, every error travels whole, and its message is for people."""

from __future__ import annotations

import ast
import copy
import copyreg
import inspect
import pickle
import re
from typing import Any

import pytest

from beampy import errors
from beampy.core.ids import Pid
from beampy.core.signals import Crash

PID = Pid("a@h", 17, 7)

CLASSES: dict[str, type[BaseException]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, BaseException)
}

# One of each, and more where a field changes the message.
SAMPLES: list[BaseException] = [
    errors.BeampyError("app@h has been started before"),
    errors.InternalError("a link of nobody"),
    errors.NotInNode("spawn"),
    errors.NotInProcess("receive"),
    errors.NotInProcess("receive", "this asyncio task"),
    errors.NotTaskOwner("await", "<Task 3>", PID),
    errors.NotTaskOwner("await", "<Task 3>", None),
    errors.NotLocal("is_alive", PID),
    errors.BadFunction("spawn", "a str"),
    errors.BadFunction("pool.call", "a str", "a function"),
    errors.BadName("process", "", "a non-empty string"),
    errors.BadPattern(5),
    errors.BadDestination(("a", "b", "c")),
    errors.BadRef("cancel_timer", 5),
    errors.NameTaken("counter", PID),
    errors.AlreadyRegistered(("room", 1), PID),
    errors.NotRegistered("counter"),
    errors.ReceiveTimeout(1.5),
    errors.CallFailed(PID, "odd"),
    errors.NoProcess("counter"),
    errors.NoProcess(PID, "noproc"),
    errors.ServerExited(PID, "shutdown"),
    errors.ServerExited(PID, Crash("ValueError", "bad value")),
    errors.CallTimeout(PID, 5.0),
    errors.TaskTimeout(PID, 5.0),
    errors.CallingSelf(PID),
    errors.NodeDown(("counter", "b@h")),
    errors.StartFailed("Counter", Crash("ValueError", "bad value")),
    errors.AlreadyStarted("Counter", PID),
    errors.StartTimeout("Counter", 2.0),
    errors.StartIgnored("Counter"),
    errors.PoolError("no pool does that"),
    errors.PoolClosed("p"),
    errors.PoolClosed("p", "its node stops"),
    errors.PoolSaturated("p", 7, 5),
    errors.PoolTimeout("m.f", 2.5, "running", "on p-1@h"),
    errors.PoolTimeout("m.f", 2.5, "queued"),
    errors.BootFailed("p", "no machine came"),
    errors.BootFailed("p", "no machine came", 3, "a log\nof two lines"),
    errors.RunnerLost("p-1@h", "it was ended by SIGKILL", -9, True, 2),
    errors.RunnerLost("p-1@h", "its connection is gone"),
    errors.RefError("no reference does that"),
    errors.OwnerLost("b@h", "a numpy.ndarray of 80 MB", "its process has ended"),
    errors.RefExpired("b@h", "a numpy.ndarray of 80 MB", "it was freed there"),
    errors.RefDropped("a numpy.ndarray of 80 MB on b@h"),
    errors.UnknownRef("b@h", 7, "that node never had an object of this number"),
    errors.RefTooLarge("b@h", "a numpy.ndarray of 80 MB", 80_000_000, 1_000_000),
    errors.FrameError("no frame does that"),
    errors.FrameDue("filter of a remote frame"),
    errors.FrameRefused("RemoteDataFrame.plot", "bring it here"),
    errors.FrameTooLarge("b@h", "the DataFrame of 3 × 2", 80_000_000, 1_000_000),
    errors.NotAFrame("load", "int", "DataFrame"),
    errors.FrameGone("RemoteDataFrame of 336 776 × 19, 51 MB, on b@h"),
    errors.NotPartitioned("sort", "rows of all partitions would have to be compared", "to_dask(client)"),
    errors.PartitionFailed(3, "'04.parquet'", "b@h", "FileNotFoundError: No such file"),
    errors.PartitionFailed(3, "'04.parquet'", "b@h", "FileNotFoundError: No such file", attempts=2),
    errors.PartitionsDiffer(3, "'04.parquet'", "b@h", "delay", "String", 0, "c@h", "Int64"),
    errors.MergeTooLarge("join of a frame of 9 columns", 800_000_000, 256_000_000, "to_dask(client)"),
    errors.Exited(PID, ("shutdown", "idle")),
    *(errors.ChildError(why, "worker")
      for why in ("not_found", "running", "restarting", "already_present", "max_children", "something new")),
    errors.BadSpec("two children are called 'a'"),
    errors.BadSpec("no such strategy", spec=["a", 1]),
    errors.BadReturn("Counter.handle_cast", "5", "Reply(…) or Stop(reason)"),
    errors.EncodeError("a function", "Can't pickle local object"),
    errors.DecodeError(PID, "ModuleNotFoundError: No module named 'shop'"),
    errors.PeerBusy("b@h", 1024),
    errors.CallKilled(("fn", "b@h"), "killed"),
    *(kind("b@h", "it was so") for kind in (
        errors.NotConnected, errors.UnknownNode, errors.NameInUse, errors.HandshakeFailed, errors.CookieMismatch,
        errors.VersionMismatch, errors.NotAllowed, errors.Superseded,
    )),
    errors.RemoteProtocolError("a frame of 4294967295 bytes"),
    errors.CodeRefused("b@h", "shop.price"),
    errors.OriginLost("a@h", "the module shop", "it has stopped"),
    errors.MissingPackage("numpy.linalg", "numpy", "1.26.4", "b@h", "a@h", "it has compiled parts", "Install it"),
    errors.MissingPackage("shop.db", "", "", "b@h", "a@h", "nothing says which package it is of", "Install it"),
    errors.VersionSkew("the function price", "b@h", "Python 3.11", "a@h", "Python 3.12", "Run both with one Python"),
    errors.RemoteTraceback('Traceback (most recent call last):\n  File "x"\nValueError: x\n'),
    errors.RemoteError("shop.SoldOut", "no more of it", "Traceback …"),
    errors.ProcessExit("boom"),
]  # fmt: skip


def test_there_is_a_sample_of_each() -> None:
    assert {type(sample) for sample in SAMPLES} == set(CLASSES.values())


each = pytest.mark.parametrize("error", SAMPLES, ids=lambda e: f"{type(e).__name__}-{e.args!r:.40}")


@each
@pytest.mark.parametrize(
    "through",
    [copy.copy, copy.deepcopy, *(lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(2, 6))],
)
def test_it_travels_whole(error: BaseException, through: Any) -> None:
    error.add_note("raised in a test")
    again = through(error)
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert again.args == error.args
    assert str(again) == str(error)
    del error.__notes__


@each
def test_its_message_is_for_people(error: BaseException) -> None:
    text = str(error)
    assert text == text.rstrip()
    assert len(text) >= 10
    assert text != str(error.args)
    assert "None" not in text
    if isinstance(error, errors.BeampyError) and not getattr(error, "log", ""):
        assert "\n" not in text


@each
def test_its_message_names_its_fields(error: BaseException) -> None:
    """Whatever is told apart by a field is told apart by the text."""
    hidden = {
        errors.NoProcess: {"reason"}, errors.CallingSelf: {"reason"}, errors.NodeDown: {"reason"},
        errors.StartIgnored: {"reason"}, errors.RemoteError: {"traceback"}, errors.AlreadyStarted: {"reason"},
        errors.StartTimeout: {"reason"}, errors.CallTimeout: {"reason"}, errors.TaskTimeout: {"reason"},
        errors.AlreadyRegistered: {"name"}, errors.ChildError: {"why"}, errors.RemoteTraceback: {"text"},
        errors.BootFailed: {"attempts"}, errors.RunnerLost: {"status", "oom", "attempts"},
    }  # fmt: skip
    for field, value in vars(error).items():
        if value is not None and field not in hidden.get(type(error), ()):
            assert str(value) in str(error) or repr(value) in str(error), field


class Unsaid:
    def __repr__(self) -> str:
        raise LookupError("no words")

    __str__ = __repr__


UNSAID = Unsaid()


@pytest.mark.parametrize(
    "error",
    [
        errors.BadName("process", UNSAID, "a string"),
        errors.BadPattern(UNSAID),
        errors.BadDestination(UNSAID),
        errors.BadRef("unalias", UNSAID),
        errors.NameTaken(UNSAID, PID),
        errors.AlreadyRegistered(UNSAID, PID),
        errors.NotRegistered(UNSAID),
        errors.CallFailed(UNSAID, UNSAID),
        errors.NoProcess(UNSAID),
        errors.ServerExited(UNSAID, UNSAID),
        errors.CallTimeout(UNSAID, 1),
        errors.TaskTimeout(UNSAID, 1),
        errors.CallingSelf(UNSAID),
        errors.NodeDown(UNSAID),
        errors.StartFailed("Counter", UNSAID),
        errors.Exited(PID, UNSAID),
        errors.ChildError("running", UNSAID),
        errors.BadSpec("no such strategy", spec=UNSAID),
        errors.VersionSkew(UNSAID, "b@h", "Python 3.11", "a@h", "Python 3.12", "Run both with one Python"),
        errors.ProcessExit(UNSAID),
    ],
    ids=lambda e: type(e).__name__,
)
def test_it_can_be_said_whatever_its_fields_are(error: BaseException) -> None:
    assert "LookupError" in str(error)


def test_a_long_value_is_cut() -> None:
    assert len(str(errors.BadDestination("x" * 100_000))) < 500


def test_a_child_that_did_not_start_is_named_through_its_supervisors() -> None:
    inner = ("shutdown", ("failed_to_start_child", "db", Crash("ValueError", "no disk")))
    outer = ("shutdown", ("failed_to_start_child", "storage", inner))
    text = "App did not start: its child 'storage' did not start: its child 'db' did not start: ValueError: no disk"
    assert str(errors.StartFailed("App", outer)) == text


@each
def test_catching_by_the_root(error: BaseException) -> None:
    outside = isinstance(error, errors.ProcessExit | errors.RemoteTraceback)
    assert isinstance(error, errors.BeampyError) != outside
    assert isinstance(error, Exception) != isinstance(error, errors.ProcessExit)


# builtin parents: what callers who know Python catch


@pytest.mark.parametrize(
    ("parent", "names"),
    [
        (TimeoutError, "ReceiveTimeout CallTimeout TaskTimeout StartTimeout PoolTimeout"),
        (TypeError, "BadFunction BadPattern BadDestination BadRef BadReturn EncodeError NotAFrame PartitionsDiffer"),
        (ValueError, "BadName BadSpec NameTaken AlreadyRegistered NotLocal RemoteProtocolError"),
        (
            ConnectionError,
            "NotConnected UnknownNode NameInUse HandshakeFailed CookieMismatch VersionMismatch NotAllowed Superseded",
        ),
        (BlockingIOError, "PeerBusy"),
        (MemoryError, "RefTooLarge FrameTooLarge MergeTooLarge"),
        (AttributeError, "FrameRefused NotPartitioned"),
        (LookupError, "NotRegistered"),
        (ImportError, "OriginLost MissingPackage"),
        (ModuleNotFoundError, "MissingPackage"),
        (RuntimeError, "NotInNode NotInProcess NotTaskOwner"),
    ],
)
def test_builtin_parents(parent: type[Exception], names: str) -> None:
    assert {name for name, kind in CLASSES.items() if issubclass(kind, parent)} == set(names.split())


def test_a_missing_package_names_its_module_as_pythons_own_error_does() -> None:
    error = errors.MissingPackage(
        "numpy.linalg", "numpy", "1.26.4", "b@h", "a@h", "it has compiled parts", "Install it"
    )
    for one in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert one.name == "numpy.linalg"


def test_an_exit_is_no_exception() -> None:
    assert errors.ProcessExit.__bases__ == (BaseException,)
    assert errors.ProcessExit().reason == "normal"


# the drawing


def drawing() -> dict[str, set[str]]:
    """Each class of the docstring's drawing, with the classes one level above it that it may hang from."""
    assert errors.__doc__ is not None
    above: list[set[str]] = []
    parents: dict[str, set[str]] = {}
    for line in errors.__doc__.splitlines():
        drawn = re.match(r"    ([│├└ ]*)([A-Z]\w+(?:\(\w+\))?(?:, [A-Z]\w+)*),?(?:  .*)?$", line)
        if drawn is None:
            continue
        depth = (len(drawn[1]) + 1) // 3
        names = {name.partition("(")[0] for name in drawn[2].split(", ")}
        for name in names:
            assert name not in parents, f"{name} is drawn twice"
            parents[name] = above[depth - 1] if depth else set()
        if depth < len(above) and "├" not in drawn[1] and "└" not in drawn[1] and depth:
            names = names | above[depth]  # the line goes on with the names of the one before
        above[depth:] = [names]
    return parents


def test_the_drawing_has_every_class() -> None:
    assert set(drawing()) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_the_drawing_tells_where_it_hangs(name: str) -> None:
    ours = [base.__name__ for base in CLASSES[name].__bases__ if base.__name__ in CLASSES]
    parents = drawing()[name]
    if name in ("BeampyError", "ProcessExit", "RemoteTraceback"):
        assert ours == []
        assert not parents
    else:
        assert ours[0] in parents
        [described] = [line for line in (errors.__doc__ or "").splitlines() if re.match(rf"[ │├└]*{name}\b", line)] or [
            ""
        ]
        assert all(f"also {other}" in described for other in ours[1:])


@pytest.mark.parametrize("name", CLASSES)
def test_it_is_described(name: str) -> None:
    assert inspect.getdoc(CLASSES[name])


def test_nothing_of_beampy_is_imported() -> None:
    for module in (errors, errors.root, errors.local, errors.nodes):
        tree = ast.parse(inspect.getsource(module))
        imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        others = {str(getattr(node, "module", None)) for node in imported} - {"__future__", "typing"}
        assert all(other.startswith("beampy.errors.") for other in others)


def test_they_pickle_where_another_package_pickles_exceptions_its_way() -> None:
    support = pytest.importorskip("tblib.pickling_support")
    before = copyreg.dispatch_table.copy()
    try:
        support.install()
        for error in SAMPLES:
            if isinstance(error, errors.BeampyError):
                again = pickle.loads(pickle.dumps(error))
                assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))
    finally:
        copyreg.dispatch_table.clear()
        copyreg.dispatch_table.update(before)
