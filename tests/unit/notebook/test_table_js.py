"""What table.js makes of what the kernel says: run by node, without a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from typing import Any

import pytest

NODE = shutil.which("node")
pytestmark = [pytest.mark.skipif(NODE is None, reason="wants node")]

WAIT = 30.0  # seconds; node takes a tenth of one
STUBS = """
globalThis.setTimeout = (fn) => { timers.push(fn); return timers.length; };
globalThis.clearTimeout = (n) => { timers[n - 1] = null; };
const sent = [], timers = []; let hear = null;
const page = (offset) => ({ offset, size: 10, height: 95, width: 1, columns: [], rows: [[`${offset}`]], headline: "" });
const model = (first) => ({ get: () => (first ? JSON.stringify(page(0)) : ""), on: (_, fn) => { hear = fn; },
  send: (said) => sent.push(said) });
const asked = () => sent.filter((one) => one.kind === "ask").map((one) => [one.number, one.offset]);
const answer = (store, number, offset) => hear({ kind: "page", by: store.by, number, page: page(offset) });
"""


def run(code: str) -> Any:
    """What `code` gives to `tell`, with table.js before it."""
    source = (files("beampy.notebook") / "static" / "table.js").read_text(encoding="utf-8")
    program = f"{source}\n{STUBS}\nconst tell = (value) => console.log(JSON.stringify(value));\n{code}"
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--input-type=module"], input=program, capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_late_page_does_not_take_the_place_of_a_newer_one() -> None:
    found = run("""
        const store = new Store(model(true));
        store.ask(10); store.ask(20); store.ask(30);
        answer(store, 1, 10);
        const early = store.page.offset;
        answer(store, 3, 30); answer(store, 2, 20);
        hear({ kind: "failed", by: store.by, number: 2, why: "late" });
        hear({ kind: "page", by: "another", number: 3, page: page(70) });
        tell([asked(), early, store.page.offset, store.state, store.why]);
    """)
    assert found == [[[1, 10], [2, 20], [3, 30]], 0, 30, "", ""]


def test_nothing_outside_of_the_frame_is_asked_for() -> None:
    assert run("""
        const store = new Store(model(true));
        store.ask(-20); store.ask(1000); store.ask(94);
        tell(asked());
    """) == [[1, 0], [2, 94], [3, 94]]


def test_a_table_without_a_first_page_asks_for_it_at_once() -> None:
    assert run("const store = new Store(model(false)); tell([asked(), store.page]);") == [[[1, 0]], None]


def test_it_says_that_a_page_is_on_its_way_and_then_that_the_node_is_silent() -> None:
    assert run("""
        const store = new Store(model(true)), states = [];
        store.ask(10); states.push(store.state);
        timers[0](); states.push(store.state);
        timers[1](); states.push(store.state);
        answer(store, 1, 10); states.push(store.state, timers);
        tell(states);
    """) == ["", "loading", "slow", "", [None, None]]


def test_a_failure_leaves_the_page_and_can_be_tried_again() -> None:
    assert run("""
        const store = new Store(model(true));
        store.ask(10);
        hear({ kind: "failed", by: store.by, number: 1, why: "OwnerLost" });
        const seen = [store.state, store.why, store.page.offset];
        store.ask(store.wanted);
        tell([...seen, store.state, asked()]);
    """) == ["failed", "OwnerLost", 0, "", [[1, 10], [2, 10]]]


def test_a_view_says_that_it_is_here_and_the_last_one_that_it_has_gone() -> None:
    assert run("""
        const store = new Store(model(true)), views = [{ draw() {} }, { draw() {} }];
        hear({ kind: "who" });
        store.add(views[0]); store.add(views[1]);
        hear({ kind: "who" });
        store.remove(views[0]); store.remove(views[1]);
        hear({ kind: "who" });
        tell(sent.map((one) => one.kind));
    """) == ["here", "here", "here", "gone"]


def test_a_model_whose_kernel_has_gone_says_so() -> None:
    assert run("""
        const gone = model(true);
        gone.send = () => { throw new Error("disposed"); };
        const store = new Store(gone);
        store.ask(10);
        tell([store.state, store.why]);
    """) == ["failed", "the kernel does not answer"]


def test_numbers() -> None:
    assert run("tell([0, 7, 999, 1000, 1234567].map(number))") == ["0", "7", "999", "1 000", "1 234 567"]
