"""What table.js makes of what the kernel says: run by node, without a browser."""

from __future__ import annotations

from typing import Any

from tests.unit.notebook import in_node

pytestmark = [in_node.wants_node]

STUBS = """
globalThis.setTimeout = (fn) => { timers.push(fn); return timers.length; };
globalThis.clearTimeout = (n) => { timers[n - 1] = null; };
globalThis.window = new EventTarget();
class Element extends EventTarget {
  constructor() { super(); this.dataset = {}; this.children = []; this.value = ""; }
  setAttribute() {}
  append(child) { this.children.push(child); }
  replaceChildren(...children) { this.children = children; }
  get firstChild() { return this.children[0]; }
}
globalThis.document = { createElement: () => new Element(), activeElement: null };
const sent = [], timers = []; let hear = null;
const columns = [{ name: "a", type: "i64", right: true }];
const page = (offset) => ({ offset, size: 10, height: 95, width: 1, columns, rows: [[`${offset}`]], headline: "" });
const model = (first) => ({ get: () => (first ? JSON.stringify(page(0)) : ""), on: (_, fn) => { hear = fn; },
  send: (said) => sent.push(said) });
const asked = () => sent.filter((one) => one.kind === "ask").map((one) => [one.number, one.offset]);
const answer = (store, number, offset) => hear({ kind: "page", by: store.by, number, page: page(offset) });
"""


def run(code: str) -> Any:
    """What `code` gives to `tell`, with table.js before it."""
    return in_node.run("table", STUBS, code)


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


def test_a_browser_page_that_goes_says_so_and_one_that_comes_back_too() -> None:
    assert run("""
        const store = new Store(model(true)), hide = () => window.dispatchEvent(new Event("pagehide"));
        store.add({ draw() {} });
        hide();
        hear({ kind: "who" });
        store.remove([...store.views][0]);
        hide();
        tell(sent.map((one) => one.kind));
    """) == ["here", "gone", "here", "gone"]


def test_steps_end_at_the_first_and_the_last_page() -> None:
    assert run("""
        const store = new Store(model(true)), view = new View(store, new Element());
        view.step(-1);
        for (let n = 0; n < 20; n++) view.step(1); // faster than any of them is drawn
        view.step(1);
        for (let n = 0; n < 20; n++) view.step(-1);
        tell(asked().map(([_, offset]) => offset));
    """) == [*range(10, 100, 10), *range(80, -10, -10)]


def test_a_row_that_is_not_there_becomes_the_nearest() -> None:
    assert run("""
        const store = new Store(model(true)), view = new View(store, new Element()), seen = [];
        document.activeElement = view.row; // as when somebody types there
        const type = (row) => { view.row.value = row; view.jump(); seen.push(view.row.value); };
        ["99999", "-5", "7", "", "7"].forEach(type);
        tell([asked().map(([_, offset]) => offset), seen]);
    """) == [[94, 0, 7], ["94", "0", "7", "7", "7"]]


def test_a_table_that_began_without_a_page_says_what_it_is_of() -> None:
    assert run("""
        const store = new Store(model(false)), view = new View(store, new Element());
        const before = [view.head.textContent, view.box.hidden];
        hear({ kind: "page", by: store.by, number: 1, page: { ...page(0), headline: "Table of 95 × 1" } });
        tell([...before, view.head.textContent, view.box.hidden]);
    """) == ["Table", True, "Table of 95 × 1", False]


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
