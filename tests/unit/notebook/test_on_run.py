"""What the target of a `%%on` cell means in a notebook."""

from __future__ import annotations

from typing import Any

import pytest

import beampy as bp
from beampy.notebook.on_run import WOULD_DO, NoTarget, Target, target_of
from tests.unit.otp.tidy import process

CONNECTED = ["b@localhost", "c@10.0.0.2", "d@10.0.0.3", "d@localhost"]


def node(text: str, **names: Any) -> str:
    """The node that a target means."""
    found = target_of(text, names, CONNECTED)
    assert found.pool is None
    assert found.shown == found.node
    return found.node


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("b@localhost", "b@localhost"),
        ("x@10.0.0.9", "x@10.0.0.9"),
        ("my-node.1@my-host.example", "my-node.1@my-host.example"),
        ("b", "b@localhost"),
        ("c", "c@10.0.0.2"),
        ("nobody", "nobody@localhost"),
        ("my-node", "my-node@localhost"),
    ],
)
def test_names_of_nodes(text: str, meant: str):
    assert node(text) == meant


def test_expressions_that_are_names_of_nodes():
    assert node("where", where="b@localhost") == "b@localhost"
    assert node("where", where="c") == "c@10.0.0.2"
    assert node("'b'") == "b@localhost"
    assert node("nodes[0]", nodes=["b@localhost"]) == "b@localhost"
    assert node("f'{x}@localhost'", x="q") == "q@localhost"


def test_a_name_of_a_node_is_what_it_looks_like():
    assert node("b@localhost", b=1, localhost=2) == "b@localhost"
    assert node("b", b=1) == "b@localhost"  # a variable of the same name that can be no target
    assert node("b", b="c") == "c@10.0.0.2"  # and one that can


@pytest.mark.parametrize(
    ("text", "names", "why"),
    [
        ("x", {"x": 1}, "'x' is an int here, and no target"),
        ("x", {"x": "two words"}, "'x' is a str here, and no target"),
        ("d", {}, "'d' may be d@10.0.0.3 or d@localhost: say which"),
        ("x[1]", {"x": []}, "'x[1]' is no target: IndexError: list index out of range"),
        ("x.y", {}, "'x.y' is no target: NameError: name 'x' is not defined"),
        ("(", {}, "'(' is no target: SyntaxError: '(' was never closed"),
    ],
)
def test_what_is_none_says_so_in_a_line(text: str, names: dict[str, Any], why: str):
    with pytest.raises(NoTarget) as raised:
        target_of(text, names, CONNECTED)
    said = str(raised.value)
    assert said.startswith(why)
    assert "\n" not in said
    assert said.endswith(("say which", WOULD_DO))


@process
async def test_a_pid_a_reference_and_a_pool():
    me = bp.self()
    assert target_of("me", {"me": me}, []) == Target(me.node, None, me.node)
    pool = bp.Pool(max=1)
    assert target_of("pool", {"pool": pool}, []) == Target("", pool, "a runner of the pool")
    some = pool.options(priority=1)
    assert target_of("some", {"some": some}, []).pool is some


def test_the_notebooks_names_are_left_alone():
    names: dict[str, Any] = {"__builtins__": {}, "x": "b"}
    target_of("x", names, [])
    assert set(names) == {"__builtins__", "x"}
