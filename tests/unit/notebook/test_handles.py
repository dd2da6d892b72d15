"""What is said of a handle that is shown: while it runs, and when it has failed."""

from __future__ import annotations

from typing import Any

from beampy.errors import RemoteTraceback
from beampy.notebook.faults import of_user
from beampy.notebook.handles import TRACEBACK, failed, in_cells, lasted, said_of


class Call:
    callee = "b@localhost"
    label: str | None = None
    state = "running"

    def _fn(self) -> None: ...


class Mapped:
    _what = "__main__.f"

    def __init__(self, ended: int, under_way: int, *, done: bool = False) -> None:
        self._counts, self._done = (ended, under_way), done

    def counts(self) -> tuple[int, int]:
        return self._counts

    def done(self) -> bool:
        return self._done


def test_what_runs_where():
    handle: Any = type("Handle", (), {"_what": "pool.call of __main__.f"})()
    call: Any = Call()
    call._fn = len
    assert said_of(handle, None) == "pool.call of f"
    assert said_of(handle, call) == "builtins.len on b@localhost"
    call.label = "runner-1"
    assert said_of(handle, call) == "builtins.len on runner-1"
    call.state = "booting"
    assert said_of(handle, call) == "builtins.len, waiting for a machine"
    call.state = "queued"
    assert said_of(handle, call) == "builtins.len, waiting for its turn"
    assert in_cells("__main__.A.b") == "A.b"


def test_how_far_a_map_is():
    run: Any = Mapped
    assert said_of(run(2, 1), None) == "the map of f: 2 done, 1 under way"
    assert said_of(run(0, 0), None) == "the map of f: 0 done"
    assert said_of(run(5, 0), None) == "the map of f: 5 done; it goes on when it is awaited or read"
    assert said_of(run(5, 0, done=True), None) == "the map of f: 5 done"


def test_how_long():
    assert [lasted(s) for s in (0.04, 0.96, 59.4, 60, 3599.4, 3600, 90061)] == [
        "0.0 s",
        "1.0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "1 h 0 min",
        "25 h 1 min",
    ]


HEAD = "Traceback (most recent call last):\n"
OURS = '  File "/x/site-packages/beampy/pool/job.py", line 60, in run\n    await f()\n    ^^^^^\n'
MINE = '  File "/home/me/beampy/app.py", line 2, in f\n    raise KeyError("<k>")\n'


def test_a_failure_is_one_block():
    error = KeyError("<k>")
    error.__cause__ = RemoteTraceback(HEAD + OURS + OURS + MINE + "KeyError: '<k>'\n")
    error.add_note("raised in <Pid r@h 1>")
    data, _ = failed(error, "f on runner-1")
    assert (
        data["text/plain"] == f"KeyError: '<k>'\n  f on runner-1; raised in <Pid r@h 1>\n\n{HEAD}{MINE}KeyError: '<k>'"
    )
    assert "<k>" not in data["text/html"]
    assert "&lt;k&gt;" in data["text/html"]
    assert "<details>" in data["text/html"]
    plain, _ = failed(ValueError(), "f")
    assert plain == {"text/plain": "ValueError\n  f", "text/html": plain["text/html"]}
    assert "details" not in plain["text/html"]


def test_a_long_traceback_is_folded_in_the_middle():
    error = RecursionError("deep")
    error.__cause__ = RemoteTraceback(HEAD + MINE * 200 + "RecursionError: deep\n")
    data, _ = failed(error, "f")
    lines = data["text/plain"].splitlines()
    assert len(lines) <= TRACEBACK + 5
    assert lines[-1] == "RecursionError: deep"
    assert any("lines …" in line for line in lines)
    assert data["text/html"].count("home/me") == 200


def test_frames_of_beampy_are_left_out_at_the_beginning_only():
    assert of_user(HEAD + OURS + MINE + OURS + "E") == HEAD + MINE + OURS + "E"
    assert of_user(HEAD + OURS + "E") == HEAD + OURS + "E"  # where there are no others
    assert of_user("no traceback") == "no traceback"


def test_a_failure_whose_text_cannot_be_had():
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    data, _ = failed(Mute(), "f")
    assert data["text/plain"] == "Mute: its text cannot be had: ValueError\n  f"
