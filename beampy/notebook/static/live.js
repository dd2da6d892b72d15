// A live card in the page: draws what the kernel says, and tells it what is wanted.
//
// Rule: the kernel has the state. A whole card comes in the trait `snapshot` and as an answer to `ask`; what is new comes
// as messages that are numbered: where one is missing, the whole is asked for. All views of a card share what came, and
// draw once a frame at most. Every second that somebody can see it, the kernel hears of that.
//
// The names and the look are those of picture.py, which draws the same where no JavaScript runs.
// What follows after this file stands in views.js.

const COLOURS = 8, FOLDED = 12, DASHES = ["", "6 3", "2 3", "9 3 2 3"];
const HEIGHT = 150, LEFT = 46, RIGHT = 12, TOP = 8, BOTTOM = 18; // of a chart, in pixels, as in picture.py
const TINY = 1e-300; // values that are no further apart are one, as in picture.py
const POINTS = 2000; // of a curve that are kept; a chart has fewer columns
const MANY = 16; // lines of a chart from which on they are thinner
const BEAT = 1000, SILENT = 8000, SURE = 4000, GIVE_UP = 10000; // milliseconds
const SVG = "http://www.w3.org/2000/svg";

// numbers for people, as in pool/live_picture.py

const number = (n) => String(Math.trunc(n)).replace(/\B(?=(\d{3})+$)/g, " ");
function general(value, digits) { // Python's "%.<digits>g"
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const power = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(digits)))));
  if (power >= -4 && power < digits) return String(Number(value.toPrecision(digits)));
  return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace(/e([+-])(\d)$/, "e$10$2");
}
const figures = (v) => (Math.abs(v) >= 1000 && Math.abs(v) < 1e9 ? (v < 0 ? "-" : "") + number(Math.abs(v)) : general(v, 3));
function duration(seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "-";
  const whole = Math.floor(seconds), s = whole % 60, m = Math.floor(whole / 60) % 60, h = Math.floor(whole / 3600);
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 60) return `${s}s`;
  if (!h) return `${m}:${two(s)}`;
  return h < 48 ? `${h}:${two(m)}:${two(s)}` : `${Math.floor(h / 24)}d ${h % 24}h`;
}
const size = (b) => b < 2 ** 20 ? `${Math.round(b / 2 ** 10)} KB` : b < 2 ** 30 ? `${Math.round(b / 2 ** 20)} MB` : `${(b / 2 ** 30).toFixed(1)} GB`;
function tickText(v) {
  const a = Math.abs(v);
  if (a < 1e-300) return "0";
  if (a >= 1e9 && a < 1e12) return `${general(v / 1e9, 4)}G`;
  if (a >= 1e6 && a < 1e9) return `${general(v / 1e6, 4)}M`;
  if (a >= 1e4 && a < 1e6) return `${general(v / 1e3, 4)}k`;
  return general(v, 4);
}
function ticks(low, high, most) {
  const rough = (high - low) / most || 5e-324, power = 10 ** Math.max(-300, Math.floor(Math.log10(rough)));
  const fits = (f) => Math.floor(high / (power * f)) - Math.ceil(low / (power * f)) < most;
  const step = power * ([1, 2, 5, 10, 20, 50].find(fits) || 100);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high && found.length < most; n++) found.push(n * step);
  return found;
}
const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// what came

class Line {
  constructor(told) { this.set(told); }
  set(told) { Object.assign(this, told); this.xs = []; this.ys = []; this.add(told.points || []); delete this.points; }
  more(flat) { // what a whole card had already is left out
    const last = this.xs.length ? this.xs[this.xs.length - 1] : -Infinity;
    let from = 0;
    while (from < flat.length && flat[from] <= last) from += 2;
    this.add(flat.slice(from));
  }
  add(flat) {
    for (let i = 0; i + 1 < flat.length; i += 2) { this.xs.push(flat[i]); this.ys.push(flat[i + 1]); }
    if (this.xs.length > POINTS) {
      const last = this.xs.length - 1, kept = (_, i) => i % 2 === 0 || i === last;
      this.xs = this.xs.filter(kept); this.ys = this.ys.filter(kept);
    }
  }
}

class Store {
  constructor(model) {
    this.model = model; this.views = new Set(); this.lines = new Map(); this.head = null;
    this.seq = -1; this.asked = -BEAT; this.gap = false; this.frame = 0; this.heard = performance.now();
    this.whole(model.get("snapshot"));
    model.on("change:snapshot", () => { if (this.gap || this.seq < 0) this.whole(model.get("snapshot")); });
    model.on("msg:custom", (message) => this.take(message));
  }
  whole(text) {
    if (!text) return;
    const told = JSON.parse(text);
    if (told.seq < this.seq) return;
    this.seq = told.seq; this.gap = false; this.asked = -BEAT; this.head = told.head;
    this.lines = new Map(told.lines.map((line) => [line.id, new Line(line)]));
    this.came();
  }
  take(message) {
    if (message.kind === "all") return this.whole(message.card);
    if (message.kind !== "more") return;
    const told = JSON.parse(message.card);
    if (told.seq <= this.seq) return;
    if (told.seq !== this.seq + 1) { this.gap = true; this.ask(); }
    this.seq = told.seq; this.head = told.head;
    for (const change of told.lines) {
      const line = this.lines.get(change.id);
      if (change.points) line ? line.set(change) : this.lines.set(change.id, new Line(change));
      else if (line) { line.state = change.state; line.more(change.new); }
    }
    for (const id of told.gone) this.lines.delete(id);
    this.came();
  }
  came() { this.heard = this.at = performance.now(); this.draw(); }
  ask() {
    const now = performance.now();
    if (now - this.asked < BEAT) return;
    this.asked = now; this.model.send({ kind: "ask" });
  }
  draw() {
    if (this.frame || !this.views.size) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; for (const view of this.views) view.draw(); });
  }
  age() {
    const { age, state } = this.head;
    return state === "running" ? age + Math.min(SILENT, performance.now() - this.at) / 1000 : age;
  }
  beat() {
    if (document.visibilityState === "hidden" || ![...this.views].some((view) => view.root.isConnected)) return;
    if (!this.head || this.head.state === "running") this.model.send({ kind: "beat", seq: this.seq });
    if (this.gap) this.ask();
    this.draw();
  }
  add(view) {
    this.views.add(view);
    if (this.views.size === 1) this.timer = setInterval(() => this.beat(), BEAT);
    this.asked = -BEAT; this.ask(); this.draw();
  }
  remove(view) {
    this.views.delete(view);
    if (!this.views.size) clearInterval(this.timer);
  }
}

// how it is drawn

function make(name, className, parent) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (parent) parent.append(element);
  return element;
}
function put(element, html) { if (element.told !== html) { element.told = html; element.innerHTML = html; } }
function say(element, text) { if (element.told !== text) { element.told = text; element.textContent = text; } }
function children(parent, htmls, name, className) { // each has one child, which is only touched where it has changed
  while (parent.children.length > htmls.length) parent.lastChild.remove();
  htmls.forEach((html, i) => put(parent.children[i] || make(name, className, parent), html));
}
function bar(done, total, failed, label) {
  if (!total) return "";
  const part = (n) => 100 * Math.max(0, Math.min(total, n)) / total;
  const lost = failed ? `<i class="bp-lost" style="width:${part(failed)}%"></i>` : "";
  return `<div class="bp-bar" role="progressbar" aria-label="${escape(label)}" aria-valuemin="0" aria-valuemax="${total}"` +
    ` aria-valuenow="${done + (failed || 0)}"><i style="width:${part(done)}%"></i>${lost}</div>`;
}
const colour = (n) => `var(--bp-${n % COLOURS})`;
const dashes = (n) => DASHES[Math.floor(n / COLOURS) % DASHES.length];
const swatch = (n) => `<svg class="bp-swatch" width="18" height="8" aria-hidden="true"><line x1="0" y1="4" x2="18" y2="4" ` +
  `style="stroke:${colour(n)}" stroke-dasharray="${dashes(n)}"/></svg>`;
const of = (done, total) => number(done) + (total === null ? "" : `/${number(total)}`);

class View {
  constructor(store, el) {
    this.store = store; this.open = false; this.charts = new Map();
    const root = this.root = make("div", "bp-card", el);
    root.setAttribute("role", "group");
    const head = make("div", "bp-head", root);
    make("span", "bp-dot", head);
    this.title = make("span", "bp-title", head);
    this.facts = make("span", "bp-facts", head);
    this.button = make("button", "bp-button", head);
    this.button.type = "button";
    this.button.addEventListener("click", () => this.press());
    this.groups = make("div", "bp-groups", root);
    this.figures = make("div", "bp-charts", root);
    this.table = make("table", "bp-rows", make("div", "bp-scroll", root));
    this.thead = make("tr", "", make("thead", "", this.table));
    this.tbody = make("tbody", "", this.table);
    this.fold = make("button", "bp-fold", root);
    this.fold.type = "button";
    this.fold.addEventListener("click", () => { this.open = !this.open; this.draw(); });
    this.more = make("div", "bp-more", root);
    this.note = make("div", "bp-note", root);
    this.note.setAttribute("role", "status");
    this.watch = new ResizeObserver(() => store.draw());
    this.watch.observe(root);
    store.add(this);
  }
  close() { this.watch.disconnect(); this.store.remove(this); clearTimeout(this.timer); }

  press() {
    const wanted = this.store.head.button;
    clearTimeout(this.timer);
    if (wanted === "stop" && this.pressed !== "sure") {
      this.pressed = "sure";
      this.timer = setTimeout(() => { this.pressed = ""; this.draw(); }, SURE);
    } else {
      this.pressed = "sent";
      this.store.model.send({ kind: wanted });
      this.timer = setTimeout(() => { this.pressed = ""; this.draw(); }, GIVE_UP);
    }
    this.draw();
  }

  draw() {
    const head = this.store.head;
    if (!head) return;
    this.root.dataset.state = head.state;
    this.root.setAttribute("aria-label", head.title);
    say(this.title, head.title);
    const silent = performance.now() - this.store.heard;
    const gone = head.state === "running" && silent > SILENT ? ` <span class="bp-gone">no news for ${duration(silent / 1000)}</span>` : "";
    put(this.facts, escape(this.told(head)) + gone);
    this.drawButton(head);
    const groups = head.groups.map((group) => this.group(group, head.groups.length > 1));
    if (head.more_groups) groups.push(`<span class="bp-num">and ${head.more_groups} more functions</span>`);
    children(this.groups, groups, "div", "bp-group");
    this.groups.hidden = !groups.length;
    const names = new Map();
    for (const line of this.store.lines.values()) {
      if (!names.has(line.name)) names.set(line.name, []);
      names.get(line.name).push(line);
    }
    this.drawCharts(names);
    this.drawRows(head, names);
    say(this.note, head.note);
    this.note.hidden = !head.note;
  }
  told(head) {
    const live = (state) => state === "running" || state === "idle";
    let up = head.rows.filter((row) => live(row.state)).length;
    for (const [state, count] of Object.entries(head.more_rows)) if (live(state)) up += count;
    const parts = [head.pool === head.title ? "" : head.pool, `${up}${head.max ? ` of ${head.max}` : ""} runner${up === 1 && !head.max ? "" : "s"}`];
    if (!head.groups.length) {
      parts.push(`${number(head.running)} running`, head.waiting ? `${number(head.waiting)} waiting` : "",
        `${number(head.done - head.failed)} done`, head.failed ? `${number(head.failed)} failed` : "",
        head.rate ? `${figures(head.rate)}/s` : "");
    }
    if (head.state !== "running" && head.state !== "done") parts.push(head.state);
    parts.push(duration(this.store.age()));
    return parts.filter(Boolean).join(" · ");
  }
  drawButton(head) {
    const button = this.button, wanted = head.button || this.wanted;
    if (head.button) this.wanted = head.button; else this.pressed = "";
    button.hidden = !wanted;
    if (!wanted) return;
    const words = wanted === "stop" ? ["Stop", "Stop the pool and its runners", "Really stop?", "Stopping…"]
      : ["Cancel", "Cancel the calls of this cell", "", "Cancelling…"];
    say(button, this.pressed === "sure" ? words[2] : this.pressed === "sent" ? words[3] : words[0]);
    const label = this.pressed === "sure" ? "Press again to stop the pool; its calls are cancelled" : words[1];
    if (button.getAttribute("aria-label") !== label) { button.setAttribute("aria-label", label); button.title = label; }
    button.classList.toggle("bp-sure", this.pressed === "sure");
    button.disabled = !head.button || this.pressed === "sent";
  }
  group(group, named) {
    const parts = [named ? `<span class="bp-what" title="${escape(group.what)}">${escape(group.what)}</span>` : "",
      bar(group.done - group.failed, group.total, group.failed, group.what),
      `<span class="bp-num"><b>${of(group.done, group.total)}</b></span>`];
    if (group.failed) parts.push(`<span class="bp-num bp-bad">${number(group.failed)} failed</span>`);
    if (group.cancelled) parts.push(`<span class="bp-num">${number(group.cancelled)} cancelled</span>`);
    if (group.rate !== null) parts.push(`<span class="bp-num bp-thin">${figures(group.rate)}/s</span>`);
    if (group.left !== null && group.done < group.total) parts.push(`<span class="bp-num bp-slim">${duration(group.left)} left</span>`);
    return parts.join("");
  }
  drawRows(head, names) {
    const rows = this.open ? head.rows : head.rows.slice(0, FOLDED);
    const failed = rows.some((row) => row.failed), load = rows.some((row) => row.memory !== null);
    const titles = [...names.keys()], last = new Map(), drawn = new Set();
    for (const [name, lines] of names) {
      for (const line of lines) {
        drawn.add(line.runner);
        if (line.ys.length) last.set(`${line.runner}\n${name}`, line.ys[line.ys.length - 1]);
      }
    }
    const th = (text, kind) => `<th scope="col" class="${kind || ""}">${escape(text)}</th>`;
    put(this.thead, th("runner") + th("state") + titles.map((name) => th(name, "bp-right")).join("") + th("done", "bp-right") +
      (failed ? th("failed", "bp-right") : "") + (load ? th("cpu", "bp-right bp-thin") + th("memory", "bp-right bp-thin") : "") + th("", "bp-wide bp-slim"));
    children(this.tbody, rows.map((row) => {
      const state = row.state === "running" && row.slots > 1 && row.running ? `running ${row.running}` : row.state;
      const cells = [`<td>${drawn.has(row.name) ? swatch(row.number) : ""}${escape(row.name)}</td>`,
        `<td class="bp-state" data-state="${escape(row.state)}" title="${escape(row.why)}">${escape(state)}</td>`];
      for (const name of titles) {
        const value = last.get(`${row.name}\n${name}`);
        cells.push(`<td class="bp-right">${value === undefined ? "" : figures(value)}</td>`);
      }
      cells.push(`<td class="bp-right">${row.state === "booting" ? "" : number(row.done)}</td>`);
      if (failed) cells.push(`<td class="bp-right bp-bad">${row.failed ? number(row.failed) : ""}</td>`);
      if (load) {
        cells.push(`<td class="bp-right bp-thin">${row.cpu === null ? "" : `${Math.round(row.cpu * 100)} %`}</td>`,
          `<td class="bp-right bp-thin">${row.memory === null ? "" : size(row.memory)}</td>`);
      }
      const calls = row.bars.map(([label, done, total]) =>
        `<span class="bp-call">${escape(label)} ${bar(done, total, 0, label)}${of(done, total)}</span>`);
      if (row.more_bars) calls.push(`<span class="bp-call">and ${row.more_bars} more</span>`);
      return cells.join("") + `<td class="bp-wide bp-slim"><div class="bp-calls">${calls.join("")}</div></td>`;
    }), "tr", "");
    this.table.hidden = !head.rows.length;
    const rest = {};
    for (const row of head.rows.slice(FOLDED)) rest[row.state] = (rest[row.state] || 0) + 1;
    const folded = head.rows.length - FOLDED;
    this.fold.hidden = folded <= 0;
    if (folded > 0) {
      const by = Object.entries(rest).map(([state, count]) => `${count} ${state}`).join(", ");
      say(this.fold, this.open ? "show fewer runners" : `and ${folded} more runners: ${by}`);
      this.fold.setAttribute("aria-expanded", String(this.open));
    }
    const told = [];
    const over = Object.entries(head.more_rows);
    if (over.length) told.push(`and ${over.map(([state, count]) => `${count} ${state}`).join(", ")}`);
    if (head.more_charts) told.push(`${head.more_charts} more curves`);
    if (head.more_lines) told.push(`the curves of ${number(head.more_lines)} earlier calls are not kept`);
    say(this.more, told.join(" · "));
    this.more.hidden = !told.length;
  }
  drawCharts(names) {
    for (const [name, chart] of this.charts) if (!names.has(name)) { chart.figure.remove(); this.charts.delete(name); }
    this.figures.hidden = !names.size;
    for (const name of names.keys()) if (!this.charts.has(name)) this.charts.set(name, new Chart(name, this.figures));
    for (const [name, lines] of names) this.charts.get(name).draw(lines);
  }
}

class Chart {
  constructor(name, parent) {
    this.name = name; this.paths = new Map();
    this.figure = make("figure", "bp-chart", parent);
    make("figcaption", "", this.figure).textContent = name;
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("role", "img");
    this.grid = document.createElementNS(SVG, "g"); this.curves = document.createElementNS(SVG, "g");
    this.svg.append(this.grid, this.curves);
    this.figure.append(this.svg);
    this.tip = make("div", "bp-tip", this.figure);
    this.tip.hidden = true;
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.point(null));
  }
  draw(lines) {
    const width = Math.max(120, Math.floor(this.figure.clientWidth)), height = HEIGHT;
    let left = Infinity, right = -Infinity, low = Infinity, high = -Infinity;
    for (const { xs, ys } of lines) {
      for (let i = 0; i < xs.length; i++) {
        if (xs[i] < left) left = xs[i];
        if (xs[i] > right) right = xs[i];
        if (ys[i] < low) low = ys[i];
        if (ys[i] > high) high = ys[i];
      }
    }
    if (left > right) return;
    const apart = (a, b) => b / 2 - a / 2 >= TINY, around = (x) => (Math.abs(x) > TINY ? Math.abs(x) / 2 : 1);
    if (!apart(left, right)) { const by = around(left); left -= by; right += by; }
    if (!apart(low, high)) { const by = around(low); low -= by; high += by; }
    else { const by = (high - low) * 0.04; low -= by; high += by; }
    const across = (x) => LEFT + (width - LEFT - RIGHT) * (x / 2 - left / 2) / (right / 2 - left / 2);
    const up = (y) => height - BOTTOM - (height - TOP - BOTTOM) * (y / 2 - low / 2) / (high / 2 - low / 2);
    if (this.width !== width) {
      this.width = width;
      for (const [key, value] of [["viewBox", `0 0 ${width} ${height}`], ["width", width], ["height", height]]) this.svg.setAttribute(key, value);
    }
    const ys = ticks(low, high, 4).map((y) => [up(y).toFixed(1), tickText(y)]);
    const xs = ticks(left, right, Math.max(2, Math.min(6, Math.floor(width / 70)))).map((x) => [across(x).toFixed(1), tickText(x)]);
    put(this.grid, ys.map(([y, text]) => `<line class="bp-grid" x1="${LEFT}" x2="${width - RIGHT}" y1="${y}" y2="${y}"/>` +
      `<text x="${LEFT - 6}" y="${+y + 3.5}" text-anchor="end">${text}</text>`).join("") +
      xs.map(([x, text]) => `<text x="${x}" y="${height - 4}" text-anchor="middle">${text}</text>`).join(""));
    this.curves.setAttribute("class", lines.length > MANY ? "bp-many" : "");
    const most = Math.max(60, Math.min(width, Math.floor(12000 / lines.length)));
    const seen = new Set();
    for (const line of lines) {
      seen.add(line.id);
      this.line(line, across, up, most);
    }
    for (const [id, one] of this.paths) if (!seen.has(id)) { one.path.remove(); one.mark.remove(); this.paths.delete(id); }
    const values = lines.slice(0, FOLDED).filter((line) => line.ys.length).map((line) => `${line.runner} ${figures(line.ys[line.ys.length - 1])}`);
    this.svg.setAttribute("aria-label", `${this.name}: ${values.join(", ")}`);
  }
  line(line, across, up, most) {
    let one = this.paths.get(line.id);
    if (!one) {
      one = { path: document.createElementNS(SVG, "path"), mark: document.createElementNS(SVG, "path") };
      one.path.style.stroke = one.mark.style.stroke = colour(line.number);
      if (dashes(line.number)) one.path.setAttribute("stroke-dasharray", dashes(line.number));
      this.curves.append(one.path, one.mark);
      this.paths.set(line.id, one);
    }
    const { xs, ys } = line, count = xs.length, every = Math.max(1, Math.ceil(count / most)), at = [];
    for (let i = 0; i < count; i += every) at.push(Math.round(across(xs[i]) * 10) / 10, Math.round(up(ys[i]) * 10) / 10);
    if (count && (count - 1) % every) at.push(Math.round(across(xs[count - 1]) * 10) / 10, Math.round(up(ys[count - 1]) * 10) / 10);
    one.at = at; one.line = line; one.every = every;
    let path = "";
    for (let i = 0; i < at.length; i += 2) path += `${i ? "L" : "M"}${at[i]} ${at[i + 1]}`;
    one.path.setAttribute("d", path);
    one.path.setAttribute("class", `bp-path${line.state === "running" ? "" : " bp-over"}${this.near === one ? " bp-near" : ""}`);
    const x = at[at.length - 2], y = at[at.length - 1];
    const mark = !at.length ? "" : line.state === "lost" ? `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`
      : line.state === "running" || count === 1 ? `M${x - 1} ${y}a1 1 0 1 0 2 0a1 1 0 1 0 -2 0` : "";
    one.mark.setAttribute("d", mark);
    one.mark.setAttribute("class", "bp-mark");
  }
  point(event) {
    let best = null, found = 0, least = 30 * 30; // pixels, squared
    if (event) {
      const box = this.svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      for (const one of this.paths.values()) {
        for (let i = 0; i < one.at.length; i += 2) {
          const far = (one.at[i] - x) ** 2 + (one.at[i + 1] - y) ** 2;
          if (far < least) { least = far; best = one; found = i; }
        }
      }
    }
    if (this.near && this.near !== best) this.near.path.classList.remove("bp-near");
    this.near = best;
    this.tip.hidden = !best;
    if (!best) return;
    best.path.classList.add("bp-near");
    const line = best.line, i = Math.min((found / 2) * best.every, line.xs.length - 1);
    this.tip.textContent = `${line.runner} · call ${line.call} · ${tickText(line.xs[i])}: ${figures(line.ys[i])}${line.state === "lost" ? " · lost" : ""}`;
    const right = best.at[found] > this.width / 2;
    this.tip.style.left = right ? "" : `${best.at[found] + 8}px`;
    this.tip.style.right = right ? `${this.figure.clientWidth - best.at[found] + 8}px` : "";
    this.tip.style.top = `${Math.max(0, best.at[found + 1])}px`;
  }
}
