// A table of a remote frame in the page: draws the page that is there, and asks for the one that is wanted.
//
// Rule: the kernel has the frame, and answers with pages of text. Each question has a number, and only the answer to the
// newest is drawn; until it is there the page before stays, and says that another is on its way. All views of a table in
// a browser page share what came; the last one that goes, also with its browser page, says so. What is said between it
// and the kernel stands in table.py, too. What follows after this file stands in views.js.

const WAIT = 150; // milliseconds until it is said that a page is on its way: most are there before
const SLOW = 4000; // milliseconds until it is said that the node has not answered
const CUT = 24; // characters of a cell from which on it has a title: narrower ones are never cut

const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, " ");
const clamp = (n, low, high) => Math.max(low, Math.min(high, n));

function make(name, className, parent, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}
function button(parent, text, label, press) {
  const element = make("button", "bp-page", parent, text);
  element.type = "button"; element.title = label;
  element.setAttribute("aria-label", label);
  element.addEventListener("click", press);
  return element;
}

class Store {
  constructor(model) {
    this.model = model; this.views = new Set(); this.by = crypto.randomUUID(); this.number = 0;
    this.page = null; this.why = ""; this.wanted = 0; this.timers = []; this.state = "";
    this.leave = () => this.send({ kind: "gone" });
    model.on("msg:custom", (said) => this.take(said));
    const first = model.get("first");
    if (first) { this.page = JSON.parse(first); this.headline = this.page.headline; }
    else this.ask(0);
  }
  ask(offset) {
    const last = this.page ? Math.max(0, this.page.height - 1) : 0;
    this.wanted = this.page ? clamp(offset, 0, last) : 0;
    this.settle("");
    this.number += 1; this.why = "";
    this.timers = [setTimeout(() => this.become("loading"), WAIT), setTimeout(() => this.become("slow"), SLOW)];
    this.send({ kind: "ask", by: this.by, number: this.number, offset: this.wanted });
  }
  send(what) {
    try { this.model.send(what); } catch { this.settle("failed"); this.why = "the kernel does not answer"; this.draw(); }
  }
  settle(state) { this.timers.forEach(clearTimeout); this.timers = []; this.state = state; }
  become(state) { this.state = state; this.draw(); }
  take(said) {
    if (said.kind === "who" && this.views.size) return this.send({ kind: "here" });
    if (said.by !== this.by || said.number !== this.number) return; // an answer to what nobody waits for any more
    this.settle(said.kind === "failed" ? "failed" : "");
    if (said.kind === "page") { this.page = said.page; this.headline = said.page.headline; this.why = ""; } else this.why = said.why;
    this.draw();
  }
  draw() { for (const view of this.views) view.draw(); }
  add(view) {
    this.views.add(view);
    window.addEventListener("pagehide", this.leave); // the same one is added once
    this.send({ kind: "here" }); view.draw();
  }
  remove(view) {
    this.views.delete(view);
    if (this.views.size) return;
    window.removeEventListener("pagehide", this.leave);
    this.leave();
  }
}

class View {
  constructor(store, el) {
    this.store = store;
    const root = this.root = make("div", "bp-table", el);
    root.setAttribute("role", "group");
    root.dataset.lmSuppressShortcuts = "true"; // keys here are not commands of the notebook
    this.head = make("div", "bp-table-head", root);
    this.box = make("div", "bp-table-box", root);
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "region");
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.grid = make("table", "", this.box);
    const nav = make("div", "bp-table-nav", root);
    nav.setAttribute("role", "group"); nav.setAttribute("aria-label", "Pages");
    this.first = button(nav, "«", "First page", () => this.go(0));
    this.before = button(nav, "‹", "Previous page", () => this.step(-1));
    this.after = button(nav, "›", "Next page", () => this.step(1));
    this.last = button(nav, "»", "Last page", () => this.end());
    const label = make("label", "bp-table-row", nav, "Row ");
    this.row = make("input", "", label);
    this.row.type = "number"; this.row.min = "0"; this.row.step = "1";
    this.row.addEventListener("keydown", (event) => { if (event.key === "Enter") this.jump(); });
    this.row.addEventListener("change", () => this.jump());
    this.told = make("span", "bp-table-told", nav);
    this.told.setAttribute("role", "status");
    this.fault = make("div", "bp-table-fault", root);
    this.fault.setAttribute("role", "alert");
    this.why = make("span", "", this.fault);
    this.again = button(this.fault, "Try again", "Try again", () => store.ask(store.wanted));
    store.add(this);
  }
  close() { this.store.remove(this); }

  get size() { return this.store.page ? this.store.page.size : 1; }
  go(offset) { this.store.ask(offset); }
  step(by) { // from what was asked for last, so that quick presses count each; at an end it stays where it is
    const { page, wanted } = this.store, next = wanted + by * this.size;
    if (page && (by > 0 ? next < page.height : wanted > 0)) this.go(next);
  }
  end() {
    const page = this.store.page;
    if (page) this.store.ask(Math.floor(Math.max(0, page.height - 1) / page.size) * page.size);
  }
  jump() {
    const row = parseInt(this.row.value, 10);
    if (!Number.isNaN(row) && row !== this.store.wanted) this.go(row);
    this.row.value = String(this.store.wanted); // what there is of it
  }
  key(event) {
    const keys = event.ctrlKey || event.metaKey ? { Home: () => this.go(0), End: () => this.end() }
      : { PageUp: () => this.step(-1), PageDown: () => this.step(1) };
    const act = keys[event.key];
    if (!act || event.altKey || event.shiftKey) return;
    event.preventDefault(); event.stopPropagation();
    act();
  }

  draw() {
    const { page, state, why, wanted } = this.store;
    this.root.dataset.state = state;
    this.box.setAttribute("aria-busy", String(state === "loading" || state === "slow"));
    const headline = this.store.headline || "Table";
    this.head.textContent = headline;
    this.root.setAttribute("aria-label", headline);
    this.box.setAttribute("aria-label", `${headline}: rows`);
    this.box.hidden = !page;
    if (page && page !== this.drawn) this.fill(page);
    const height = page ? page.height : 0, size = this.size;
    this.first.disabled = this.before.disabled = !page || wanted <= 0;
    this.after.disabled = this.last.disabled = !page || wanted + size >= height;
    this.row.disabled = !page;
    this.row.max = String(Math.max(0, height - 1));
    if (document.activeElement !== this.row) this.row.value = String(wanted);
    this.told.textContent = this.range(page, state);
    this.fault.hidden = state !== "failed";
    this.why.textContent = state === "failed" ? `the page could not be brought: ${why} ` : "";
  }
  range(page, state) {
    const loading = { loading: "loading…", slow: "loading… its node has not answered yet" }[state];
    if (!page) return loading || "";
    const last = page.offset + page.rows.length;
    const rows = page.rows.length ? `${number(page.offset)} to ${number(last - 1)} of ${number(page.height)} rows` : `${number(page.height)} rows`;
    const columns = page.columns.length < page.width ? `, the first ${page.columns.length} of ${number(page.width)} columns` : "";
    return loading ? `${rows}${columns} · ${loading}` : `${rows}${columns}`;
  }
  fill(page) {
    this.drawn = page;
    this.grid.setAttribute("aria-rowcount", String(page.height + 1));
    this.grid.setAttribute("aria-colcount", String(page.width + 1));
    const head = make("thead"), names = make("tr", "", head), body = make("tbody");
    make("th", "bp-table-number", names, "").scope = "col";
    names.firstChild.setAttribute("aria-label", "row");
    for (const column of page.columns) {
      const th = make("th", column.right ? "bp-right" : "", names);
      th.scope = "col"; th.title = `${column.name}: ${column.type}`;
      make("div", "bp-table-name", th, column.name);
      make("div", "bp-table-type", th, column.type);
    }
    page.rows.forEach((cells, i) => {
      const tr = make("tr", "", body);
      tr.setAttribute("aria-rowindex", String(page.offset + i + 2));
      make("th", "bp-table-number", tr, number(page.offset + i)).scope = "row";
      cells.forEach((cell, j) => {
        const td = make("td", page.columns[j].right ? "bp-right" : "", tr, cell === null ? "null" : cell);
        if (cell === null) td.classList.add("bp-null");
        else if (cell.length > CUT) td.title = cell;
      });
    });
    this.grid.replaceChildren(head, body);
    this.box.scrollTop = 0;
  }
}
