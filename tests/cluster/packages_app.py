"""Code that uses packages, for a node that has them: what it gives there, and on another node that has them not.

Each function without `there` is one that is sent; each with it runs at the origin and sends. Only plain data goes on to
the test, which has none of the packages.
"""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import io
import linecache
import sys
from typing import Any

from beampy.otp.rpc import remote_call

call = remote_call.options(timeout=60.0)


async def both(there: str, name: str, *args: Any) -> list[Any]:
    """What a function of this module gives here, and there."""
    fn = globals()[name]
    return [fn(*args), await call(there, fn, *args)]


def use(module: str, path: str, *args: Any) -> Any:
    """What a function of a module gives, or what its attribute is."""
    value = importlib.import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return value(*args) if callable(value) else value


async def use_there(there: str, module: str, path: str, *args: Any) -> Any:
    return await call(there, use, module, path, *args)


async def name_there(there: str, name: str, *args: Any) -> Any:
    """Call a function there by its name."""
    return await call(there, name, *args)


async def itself_there(there: str, module: str, path: str, *args: Any) -> Any:
    """Call a function of a package itself."""
    value = importlib.import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return await call(there, value, *args)


def watch() -> None:
    """Note from now on what this node asks others for, and the bytes of source, and of code, that they answer."""
    from beampy.code.link import Link

    plain = Link._ask
    asked: list[tuple[str, int, int]] = []

    def ask(self: Link, what: str, fn: Any, *args: Any) -> Any:
        answer = plain(self, what, fn, *args)
        parts = answer.values() if fn.__name__ == "contents" else ()
        sizes = [(len(source), len(code or b"")) for source, code in parts]
        asked.append((fn.__name__, sum(source for source, _ in sizes), sum(code for _, code in sizes)))
        return answer

    Link._ask = ask  # type: ignore[method-assign]
    Link.asked = asked  # type: ignore[attr-defined]


def watched() -> list[tuple[str, int, int]]:
    """What was asked, and the bytes of each answer; the list is empty after it."""
    from beampy.code.link import Link

    found = list(Link.asked)  # type: ignore[attr-defined]
    Link.asked.clear()  # type: ignore[attr-defined]
    return found


async def watch_there(there: str) -> None:
    await call(there, watch)


async def watched_there(there: str) -> Any:
    return await call(there, watched)


async def sent_there(there: str, module: str, name: str) -> Any:
    """Send something of a module's to a function there."""
    return await call(there, type, getattr(importlib.import_module(module), name))


async def sizes_there(there: str, module: str, name: str, size: int) -> Any:
    """Send an instance, and have one back from a method of it."""
    cls = getattr(importlib.import_module(module), name)
    back = await call(there, cls.doubled, cls(size))
    return [back.size, type(back) is cls]


def disc_area(disc: Any) -> Any:
    return disc, disc.area()


async def discs_there(there: str) -> Any:
    """Send an instance of an installed class, and have it back."""
    from shapes.round import Disc

    back, area = await call(there, disc_area, Disc())
    return [type(back) is Disc, area]


async def serve_there(there: str, to: Any) -> None:
    """Start a process there that runs code of this node."""
    import beampy as bp

    await bp.spawn(importlib.import_module("kept").serve, to, node=there)


async def spawned_there(there: str, text: str, name: str) -> Any:
    """Start a process there that runs what a cell defines."""
    import beampy as bp

    return await bp.spawn(cell(text, name), node=there)


async def cell_there(there: str, text: str, name: str, *args: Any) -> Any:
    """Call there what a cell defines."""
    return await call(there, cell(text, name), *args)


def cell(text: str, name: str) -> Any:
    """What a cell defines, run as a notebook does."""
    main = sys.modules["__main__"]
    file = f"<cell {len(linecache.cache)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    exec(compile(text, file, "exec"), vars(main))
    return getattr(main, name)


# ---- what each package is used for ----

EDGES = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 4), (6, 7)]


def networkx_figures() -> Any:
    import networkx as nx
    from networkx.algorithms.link_analysis.pagerank_alg import _pagerank_python

    graph = nx.Graph(EDGES)
    ranks = _pagerank_python(graph)
    return [
        nx.shortest_path(graph, 0, 5),
        dict(nx.all_pairs_shortest_path_length(graph)),
        sorted(nx.connected_components(graph), key=min),
        {node: round(rank, 9) for node, rank in ranks.items()},
        sorted(map(sorted, nx.community.greedy_modularity_communities(graph))),
        nx.to_dict_of_lists(nx.minimum_spanning_tree(graph)),
        nx.__version__,
    ]


def sympy_figures() -> Any:
    import sympy
    from sympy.abc import x, y

    return [
        str(sympy.integrate(sympy.exp(-(x**2)) * x, (x, 0, sympy.oo))),
        str(sympy.integrate(sympy.sin(x) ** 2, x)),
        str(sympy.simplify((x**2 + 2 * x + 1) / (x + 1))),
        [str(each) for each in sympy.solve([x + y - 3, x - y - 1], [x, y]).items()],
        str(sympy.N(sympy.pi, 40)),
        sympy.latex(sympy.Matrix([[x, 1], [1, y]]).inv()),
    ]


TEMPLATES = {
    "page": "<title>{% block title %}none{% endblock %}</title>{% block body %}{% endblock %}",
    "list": "{% extends 'page' %}{% from 'macros' import row %}{% block title %}{{ super() }}: {{ name|title }}"
    "{% endblock %}{% block body %}{% for each in things %}{{ row(loop.index, each) }}{% else %}none{% endfor %}"
    "{% endblock %}",
    "macros": "{% macro row(n, text) %}<li>{{ n }} {{ text }}{% endmacro %}",
}


def jinja2_pages() -> Any:
    import jinja2
    from markupsafe import Markup, escape

    environment = jinja2.Environment(loader=jinja2.DictLoader(TEMPLATES), autoescape=True)
    things = ["<b>", Markup("<i>"), 3]
    return [
        environment.get_template("list").render(name="some things", things=things),
        environment.get_template("list").render(name="", things=[]),
        str(escape("<a & b>") + Markup("<br>")),
        jinja2.Template("{{ x|tojson }} {{ y|groupby('a')|list|length }}").render(x={"a": [1]}, y=[{"a": 1}, {"a": 2}]),
    ]


def rich_text() -> str:
    from rich import box
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.syntax import Syntax
    from rich.table import Table
    from rich.tree import Tree

    table = Table(title="Some [b]figures[/b]", box=box.HEAVY, show_lines=True)
    table.add_column("what", style="cyan")
    table.add_column("how many", justify="right")
    for n, word in enumerate(("one", "two", "three")):
        table.add_row(word, f"[red]{n}[/red]")
    tree = Tree("root")
    tree.add("leaf").add(table)
    console = Console(file=io.StringIO(), width=70, force_terminal=True, color_system="truecolor", _environ={})
    console.print(tree, Markdown("# Title\n\n* `code` and *more*\n"), Syntax("def f(x: int) -> str: ...", "python"))
    console.print(Syntax('{"a": [1, 2]}', "json"), Syntax("fn main() { let x = 1; }", "rust"))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


QUERY = "SELECT a.x, DATE_TRUNC('month', b.t), IFNULL(c, 0) FROM a JOIN b USING (id) WHERE x ILIKE '%y%' LIMIT 10"


def sqlglot_dialects() -> Any:
    import sqlglot
    from sqlglot.optimizer import optimize

    schema = {"t": {"x": "INT", "y": "TEXT"}}
    return [
        {write: sqlglot.transpile(QUERY, read="duckdb", write=write)[0] for write in ("spark", "bigquery", "mysql")},
        {write: sqlglot.transpile(QUERY, read="duckdb", write=write)[0] for write in ("tsql", "oracle", "clickhouse")},
        optimize("SELECT * FROM t WHERE x + 1 > 2 AND TRUE", schema=schema).sql(),
        sorted(sqlglot.Dialects.__members__),
    ]


def lark_tree() -> Any:
    import lark

    grammar = """
        start: sum
        sum: NUMBER ("+" NUMBER)*
        %import common.NUMBER
        %import common.WS
        %ignore WS
    """
    parser = lark.Lark(grammar, parser="lalr")
    return [parser.parse("1 + 2.5 + 3e4").pretty(), str(lark.Lark.open_from_package("lark", "lark.lark", ["grammars"]))]


def zones() -> Any:
    import zoneinfo

    zoneinfo.reset_tzpath([])  # so that it reads the package
    when = datetime.datetime(2024, 7, 1, 12)
    zoneinfo.ZoneInfo.clear_cache()
    names = ("Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata")
    return [[zoneinfo.ZoneInfo(name).utcoffset(when) for name in names], len(zoneinfo.available_timezones())]


def certificates() -> Any:
    import ssl

    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    return [len(context.get_ca_certs()), len(certifi.contents()), certifi.contents()[:40]]


def described() -> Any:
    """What packages say of themselves."""
    import networkx
    import rich  # noqa: F401

    return [
        importlib.metadata.version("networkx"),
        importlib.metadata.metadata("rich")["Name"],
        [str(each) for each in importlib.metadata.requires("rich") or ()],
        importlib.metadata.version("networkx") == networkx.__version__,
    ]


async def on_the_loop() -> Any:
    """Its imports run on the thread of the event loop, where no message can arrive meanwhile."""
    import rich.progress_bar
    import sqlglot

    return [sqlglot.transpile("SELECT IFNULL(a, 1)", write="postgres"), rich.progress_bar.ProgressBar(total=7).total]


async def on_the_loop_there(there: str) -> Any:
    return [await on_the_loop(), await call(there, on_the_loop)]


# ---- their classes in messages ----


def edges_of(graph: Any) -> Any:
    return type(graph).__module__, sorted(graph.edges)


def made_graph() -> Any:
    import networkx as nx

    return nx.DiGraph(EDGES)


def lost_path() -> Any:
    import networkx as nx

    return nx.shortest_path(nx.Graph(EDGES), 0, 7)


async def graphs(there: str) -> Any:
    import networkx as nx

    graph = nx.Graph(EDGES)
    back = await call(there, made_graph)
    try:
        await call(there, lost_path)
    except nx.NetworkXNoPath as error:
        said = str(error)
    return [
        await call(there, edges_of, graph) == edges_of(graph),
        type(back) is nx.DiGraph and sorted(back.edges) == sorted(EDGES),
        await call(there, nx.shortest_path, graph, 0, 5) == nx.shortest_path(graph, 0, 5),
        await call(there, "networkx.shortest_path", graph, 0, 5) == nx.shortest_path(graph, 0, 5),
        said,
    ]


def doubled(expression: Any) -> Any:
    return expression * 2


async def expressions(there: str) -> Any:
    import sympy
    from sympy.abc import x

    expression = sympy.sin(x) ** 2 + sympy.Rational(1, 3)
    back = await call(there, doubled, expression)
    try:
        await call(there, sympy.sympify, "2 +")
    except sympy.SympifyError as error:
        said = type(error).__name__
    return [back == expression * 2, type(back) is type(expression * 2), said, await call(there, sympy.factorint, 360)]


def rendered(table: Any) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=60)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


async def tables(there: str) -> Any:
    from rich.errors import MarkupError
    from rich.table import Table

    table = Table("a", "b", title="t")
    table.add_row("1", "2")
    try:
        await call(there, rendered, "[/b]")
    except MarkupError as error:
        said = str(error)
    return [await call(there, rendered, table) == rendered(table), said]


async def statements(there: str) -> Any:
    import sqlglot
    from sqlglot.errors import ParseError

    tree = sqlglot.parse_one("SELECT a FROM t")
    back = await call(there, sqlglot.parse_one, "SELECT a FROM t")
    try:
        await call(there, sqlglot.parse_one, "SELECT (1")
    except ParseError as error:
        said = error.errors[0]["description"]
    return [back == tree, type(back) is type(tree), said]


async def templates(there: str) -> Any:
    import jinja2
    from markupsafe import Markup

    back = await call(there, Markup("<b>{}</b>").format, "<&>")
    try:
        await call(there, jinja2.Template, "{% if %}")
    except jinja2.TemplateSyntaxError as error:
        said = [error.message, error.lineno]
    return [str(back), type(back) is Markup, said]


# ---- cells ----

CELL = """
import networkx as nx
import sympy
from rich.table import Table
from jinja2 import Environment
from networkx.algorithms import bipartite

class Road(nx.Graph):
    def longest(self):
        return max(nx.all_pairs_shortest_path_length(self), key=lambda each: max(each[1].values()))[0]

class Double(sympy.Function):
    @classmethod
    def eval(cls, x):
        if x.is_Number:
            return 2 * x

def work(n):
    import lark
    road = Road(nx.path_graph(n).edges)
    table = Table(title=Environment().from_string("{{ n }}").render(n=n))
    x = sympy.Symbol("x")
    figures = str(sympy.diff(x**n, x)), str(Double(n) + Double(x)), table.title, bipartite.is_bipartite(road)
    return road, *figures, lark.__version__
"""


async def cells(there: str) -> Any:
    work = cell(CELL, "work")
    here, back = work(5), await call(there, work, 5)
    return [
        type(back[0]) is sys.modules["__main__"].Road,
        sorted(back[0].edges) == sorted(here[0].edges),
        back[1:] == here[1:],
        here[1:],
    ]


async def missing_there(there: str, names: list[str]) -> Any:
    """Those of these modules that the other node cannot import by itself."""
    return [name for name in names if await call(there, "importlib.util.find_spec", name) is None]
