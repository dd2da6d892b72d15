"""What the notebook shows of an exception that a cell raised on another node."""

from __future__ import annotations

import pickle

import pytest

from beampy.errors import CallTimeout, EncodeError, NodeDown, PoolTimeout, RemoteTraceback
from beampy.notebook.on_errors import explained, trimmed
from beampy.otp.rpc_call import Called

HEAD = "Traceback (most recent call last):\n"
OURS = '  File "/x/beampy/notebook/evaluator.py", line 9, in _run\n    eval(code)\n    ^^^^\n'
CELL = '  File "<cell 5 of notebook-1 on b@localhost>", line 2, in <module>\n    f(x)\n'
BELOW = '  File "/x/json/decoder.py", line 3, in decode\n    raise ValueError\n'
BETWEEN = "\nThe above exception was the direct cause of the following exception:\n\n"


def remote(error: Exception, text: str) -> Exception:
    """As it comes from a call."""
    error.__cause__ = RemoteTraceback(text)
    return error


def shown(error: Exception) -> str:
    """What IPython shows."""
    text: str = "\n".join(error._render_traceback_())  # type: ignore[attr-defined]
    return text


def told(error: Exception, *names: str, fresh: bool = False) -> Exception:
    """`explained` in a notebook with these names."""
    return explained(error, "b@localhost", names.__contains__, fresh=fresh)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"{HEAD}{OURS}{CELL}{BELOW}ValueError: x\n", f"{HEAD}{CELL}{BELOW}ValueError: x"),
        (f"{HEAD}{OURS}{BELOW}ValueError: x\n", f"{HEAD}{OURS}{BELOW}ValueError: x"),
        (
            f"{HEAD}{OURS}{CELL}KeyError\n{BETWEEN}{HEAD}{OURS}{CELL}ValueError\n",
            f"{HEAD}{CELL}KeyError\n{BETWEEN}{HEAD}{CELL}ValueError",
        ),
        (
            f"{HEAD}{BELOW}KeyError\n{BETWEEN}{HEAD}{OURS}{CELL}ValueError\n",
            f"{HEAD}{BELOW}KeyError\n{BETWEEN}{HEAD}{CELL}ValueError",
        ),
        (f"{HEAD}{OURS}{CELL}{OURS}{BELOW}{OURS}E: x\n  more\n", f"{HEAD}{CELL}{BELOW}E: x\n  more"),
        (f"{HEAD}{OURS}", f"{HEAD}{OURS}".rstrip("\n")),
        ("ValueError: x\n  of two lines", "ValueError: x\n  of two lines"),
        ("", ""),
    ],
)
def test_frames_before_the_cells_are_left_out(text: str, kept: str):
    assert trimmed(text) == kept


def test_an_exception_stays_what_it_is():
    error = remote(KeyError("x"), f"{HEAD}{OURS}{CELL}KeyError: 'x'\n")
    assert told(error) is error
    assert shown(error) == f"Traceback of b@localhost (most recent call last):\n{CELL}KeyError: 'x'"


def test_a_name_that_the_notebook_has():
    error = remote(NameError("name 'x' is not defined"), f"{HEAD}{CELL}NameError: name 'x' is not defined\n")
    assert str(told(error, "x")) == "name 'x' is not defined on b@localhost; `-i x` sends it from here"
    assert shown(error).endswith("\nNameError: name 'x' is not defined on b@localhost; `-i x` sends it from here")


def test_a_name_that_nobody_has():
    text = f"{HEAD}{CELL}NameError: name 'x' is not defined. Did you mean: 'y'?\n"
    error = remote(NameError("name 'x' is not defined"), text)
    assert str(told(error, "y")) == "name 'x' is not defined on b@localhost"
    assert shown(error).endswith("name 'x' is not defined on b@localhost. Did you mean: 'y'?")
    error = remote(NameError("name 'x' is not defined"), text)
    assert str(told(error, fresh=True)).endswith("on b@localhost, where each cell begins without the names of others")


def test_a_syntax_error_of_the_cell():
    error = SyntaxError("invalid syntax", ("<cell 5 of notebook-1 on b@localhost>", 3, 5, "y = = 2\n", 3, 6))
    error.add_note("raised in <Pid b@localhost 22>")
    found = told(remote(error, f"{HEAD}{OURS}SyntaxError: invalid syntax"))
    assert (type(found).__name__, str(found)) == ("SyntaxError", "invalid syntax")
    assert not isinstance(found, SyntaxError)  # which IPython shows with the frames of here
    assert shown(found) == (
        '  File "<cell 5 of notebook-1 on b@localhost>", line 3\n    y = = 2\n        ^\nSyntaxError: invalid syntax'
    )


def test_a_syntax_error_of_something_else():
    error = remote(SyntaxError("invalid syntax", ("helpers.py", 3, 5, "y = = 2\n")), f"{HEAD}{CELL}SyntaxError: no")
    assert told(error) is error
    assert shown(error).endswith("SyntaxError: no")


def test_what_cannot_travel_is_named_as_in_the_cell():
    error = EncodeError("message.args[0].send['lock'], lock <lock>", "cannot pickle")
    assert str(told(error)) == "%%on: -i lock, lock <lock> cannot travel in a message: cannot pickle"
    error = EncodeError("the call of beampy.notebook.evaluator.evaluate: args[0].send['lock'], lock <lock>", "cannot")
    assert str(told(error)) == "%%on: -i lock, lock <lock> cannot travel in a message: cannot"
    error = EncodeError("the value of beampy.notebook.evaluator.evaluate().values['x'].y", "cannot pickle")
    assert str(told(error)) == "%%on: -o x.y cannot travel in a message: cannot pickle"
    error = EncodeError("something else", "cannot pickle")
    assert told(error) is error


def test_errors_of_the_call_speak_of_the_cell():
    called = Called("beampy.notebook.evaluator.evaluate", "b@localhost")
    assert "this cell on b@localhost did not answer" in str(told(CallTimeout(called, 2.0)))
    assert "this cell on b@localhost" in str(told(NodeDown(called)))
    late = pickle.loads(pickle.dumps(told(PoolTimeout("beampy.notebook.evaluator.evaluate", 2.0, "running", "on r1"))))
    assert str(late) == (
        "the call of 'this cell' did not end within 2 s: it was running (on r1); "
        "%%on … -t SECONDS gives it another deadline"
    )
    own = PoolTimeout("os.getpid", 2.0, "queued")
    assert "pool.options(timeout=…) gives it another deadline" in str(told(own))
    other = NodeDown(Called("os.getpid", "b@localhost"))
    assert "os.getpid" in str(told(other))
    assert told(error := ValueError("x")) is error


def test_a_group_of_exceptions():
    text = (
        f"  + Exception Group {HEAD}"
        + "".join(f"  | {line}\n" for line in f"{OURS}{CELL}ExceptionGroup: both (1 sub-exception)".split("\n"))
        + "  +-+---------------- 1 ----------------\n    | ValueError: 1\n    +------------------------------------\n"
    )
    found = told(remote(ExceptionGroup("both", [ValueError(1)]), text))
    assert (type(found).__name__, str(found)) == ("ExceptionGroup", "both (1 sub-exception)")
    assert not isinstance(found, ExceptionGroup)  # which IPython shows with the frames of here
    assert shown(found).split("\n")[:3] == [
        "  + Exception Group Traceback of b@localhost (most recent call last):",
        '  |   File "<cell 5 of notebook-1 on b@localhost>", line 2, in <module>',
        "  |     f(x)",
    ]
    assert "    | ValueError: 1" in shown(found)


def test_an_exception_that_takes_no_attributes():
    class Closed(Exception):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            if name == "_render_traceback_":
                raise AttributeError(name)
            super().__setattr__(name, value)

    error = remote(Closed(), f"{HEAD}{CELL}Closed\n")
    assert told(error) is error
