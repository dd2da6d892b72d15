"""Remote frames in notebooks: how they are shown, and that a displayed one is freed when its name is gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("polars")
from tests.notebook.frames_ground import kernel_with_node, nothing_is_left
from tests.notebook.kernels import Kernel, Ran
from tests.notebook.nodes import Node

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with kernel_with_node(Kernel, folder) as kernel:
        yield kernel


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "kernel" in request.fixturenames:
        nothing_is_left(request.getfixturevalue("kernel"))


def html(ran: Ran) -> str:
    found: str = ran.displays[-1]["data"]["text/html"]
    return found


MAKE = "df = there.DataFrame({'a': [1, 2, 3], 'b': ['x', 'y', '<z>']}).wait()"


def test_a_frame_is_shown_with_where_it_is_and_its_rows(kernel: Kernel):
    ran = kernel.ok(f"{MAKE}\ndf")
    assert str(ran.value).startswith("RemoteDataFrame of 3 × 2, ")
    assert "on b@localhost" in str(ran.value)
    assert "│ 3   ┆ <z> │" in str(ran.value)
    assert "&lt;z&gt;" in html(ran)
    assert "<script" not in html(ran)
    assert "on b@localhost" in html(ran)


def test_a_displayed_frame_is_freed_when_its_name_is_gone(kernel: Kernel):
    number = kernel.begin(f"{MAKE}\ndf")
    kernel.wait(number)
    kernel.ok("shown = list(Out)[-1]\ndf")
    kernel.ok("[df]")
    kernel.ok("(df, {'k': df})[0].head(1)")
    assert kernel.ok("await until(['DataFrame', 'head'])").value == "'so it is'"
    kernel.ok("del df")
    kernel.ok("1")
    assert kernel.ok("await until([])").value == "'so it is'"
    assert "displayed here, and freed since" in str(kernel.ok("Out[shown]").value)
    assert str(kernel.run("Out[shown].head(2)").error).startswith("FrameGone: RemoteDataFrame of 3 × 2")


def test_the_last_one_is_there_in_the_next_cell(kernel: Kernel):
    kernel.ok("there.DataFrame({'a': [1, 2, 3]}).wait()")
    assert kernel.ok("await objects()").value == "['DataFrame']"
    kernel.ok("there.DataFrame({'a': [5]}).wait()")
    assert kernel.ok("await _.height").value == "1"
    assert kernel.ok("await until([])").value == "'so it is'"
    kernel.ok("there.DataFrame({'a': [7]}).wait()")
    kernel.ok("0")
    assert (
        str(kernel.ok("__").value) == "<RemoteDataFrame of 1 × 1, 8 B, on b@localhost: displayed here, and freed since>"
    )


def test_what_stands_for_a_frame_is_used_like_it_as_long_as_it_has_a_name(kernel: Kernel):
    kernel.ok(f"{MAKE}\ndf")
    kernel.ok("n = max(Out); 0")
    kernel.ok("w = Out[n]; assert type(w).__name__ == 'Shown'; assert w is globals()[f'_{n}']")
    assert "RemoteDataFrame of 3 × 2" in str(kernel.ok("w").value)
    assert kernel.ok("isinstance(w, bp.frames.RemoteDataFrame), await w.height, w.node").value == (
        "(True, 3, 'b@localhost')"
    )
    assert kernel.ok("(await w) is df, await w['a'].sum(), await (w['a'] + 1).sum()").value == "(True, 6, 9)"
    assert kernel.ok("await df.join(w, on='a').height").value == "3"
    assert kernel.ok("await bp.remote_call('b@localhost', len, w)").value == "3"
    assert "TypeError: len: " in str(kernel.run("len(w)").error)
    assert kernel.ok("'filter' in dir(w), 'filter' in repr(w.filter)").value == "(True, True)"
    kernel.ok("del df, w; 0")
    assert kernel.ok("await until([])").value == "'so it is'"


def test_frames_in_what_was_displayed(kernel: Kernel):
    kernel.ok(f"{MAKE}\n[df, {{'a': df}}, 3]")
    kernel.ok("n = max(Out); l = [df]; l")
    assert kernel.ok("type(Out[n]).__name__, Out[n][2], len(Out[n]), l[0] is df").value == "('list', 3, 3, True)"
    kernel.ok("df, {'x': df}")
    kernel.ok("{'x': df}")
    kernel.ok("del df, l; 0")


def test_series_plans_groups_and_values(kernel: Kernel):
    kernel.ok(f"{MAKE}\ns = df['a'].wait()\ns")
    assert str(kernel.ok("s").value).startswith("RemoteSeries of 3, 24 B, on b@localhost\nSeries: 'a' [i64]")
    plan = kernel.ok("p = df.lazy().filter(pl.col('a') > 1)\np")
    assert str(plan.value).splitlines() == [
        "RemoteLazyFrame on b@localhost: a plan, of which nothing is done yet",
        f"  a DataFrame of 3 × 2, {kernel.ok('df.nbytes').value} B",
        '  .filter([(col("a")) > (dyn int: 1)])',
        "collect() brings the result, compute() leaves it there; await explain() shows how it is done",
    ]
    assert "(col(&quot;a&quot;))" in html(plan)
    kernel.ok("df.group_by('a')")
    kernel.ok("df['b'].str")
    cell = kernel.begin("df.height")
    kernel.until(cell, kernel.wait(cell), lambda ran: "3" in ran.shown())
    cell = kernel.begin("df.get_columns()")
    kernel.until(cell, kernel.wait(cell), lambda ran: any("RemoteSeries of 3" in text for text in ran.shown()))
    cell = kernel.begin("df.filter(pl.col('a') > 1).collect()")
    kernel.until(cell, kernel.wait(cell), lambda ran: any("│ 3   ┆ <z> │" in text for text in ran.shown()))
    kernel.ok("del df, s, p; 0")


def test_partitioned_frames_and_what_is_no_handle(kernel: Kernel):
    kernel.ok(f"{MAKE}\np = bp.frames.concat([df, df.head(2)])\np")
    assert kernel.ok("type(Out[max(Out)]).__name__").value == "'Shown'"
    kernel.ok("bp.frames.on('b@localhost')")
    assert kernel.ok("type(Out[max(Out)]).__name__").value == "'Place'"
    kernel.ok("del df, p; 0")


def test_what_is_displayed_by_code_and_in_cells_within_cells(kernel: Kernel):
    ran = kernel.ok(f"{MAKE}\ndisplay(df)\nr = get_ipython().run_cell('df'); 0")
    assert sum("RemoteDataFrame of 3 × 2" in text for text in ran.shown()) == 2
    kernel.ok("del df, r; 0")


def test_what_a_failed_cell_had_is_there_in_the_next_one_and_then_freed(kernel: Kernel):
    code = """
def inner(d): raise ValueError('bad')
def outer():
    d = there.DataFrame({'a': [1]}).wait()
    e = lambda: d
    inner(d)
outer()
"""
    assert kernel.run(code).error == "ValueError: bad"
    look = (
        "import sys\ntb = sys.last_value.__traceback__\nwhile tb.tb_next: tb = tb.tb_next\nprint(tb.tb_frame.f_locals)"
    )
    assert "RemoteDataFrame of 1 × 1" in kernel.ok(look).out
    kernel.ok("del tb; 0")
    assert kernel.ok("await until([])").value == "'so it is'"
    assert "unable to find column" in str(kernel.run("await there.DataFrame({'a': [1]}).filter(pl.col('z') > 1)").error)
    kernel.ok("0")
    assert kernel.ok("await until([])").value == "'so it is'"


@pytest.mark.parametrize(
    "code", ["d.fliter(1)", "d.plot", "raise ValueError('no', d)", "raise ExceptionGroup('', [KeyError([d])])"]
)
def test_a_failure_that_has_a_frame_itself(kernel: Kernel, code: str):
    kernel.ok("d = there.DataFrame({'a': [1]}).wait()")
    assert kernel.run(code).status == "error"
    kernel.ok("del d; 0")
    assert kernel.ok("await until([])").value == "'so it is'"


def test_a_method_that_was_not_called(kernel: Kernel):
    kernel.ok(f"{MAKE}\ndf.head")
    kernel.ok("n = max(Out); 0")
    assert kernel.ok("await Out[n](1).height").value == "1"
    assert kernel.ok("df.group_by('a').agg").err == ""
    kernel.ok("0")
    assert "was only displayed" in str(kernel.run("Out[max(Out) - 1]()").error)
    kernel.ok("del df; 0")
    assert kernel.ok("await until([])").value == "'so it is'"
    assert "FrameGone: head of RemoteDataFrame of 3 × 2" in str(kernel.run("Out[n](1)").error)


def test_references_are_not_kept_either(kernel: Kernel):
    kernel.ok("r = await bp.put([1, 2, 3], node='b@localhost')\nr")
    kernel.ok("n = max(Out); 0")
    kernel.ok("w = Out[n]; assert type(w).__name__ == 'Shown' and isinstance(w, bp.RemoteRef) and w == r")
    assert kernel.ok("await w.get(), await w.do.index(3)").value == "([1, 2, 3], 2)"
    assert kernel.ok("await bp.remote_call('b@localhost', len, w)").value == "3"
    assert (
        kernel.ok("await bp.remote_call('b@localhost', lambda all: type(all[0]).__name__, [w])").value == "'RemoteRef'"
    )
    kernel.ok("[r, (r,)]")
    kernel.ok("bp.put({'a': 1}, node='b@localhost')")
    kernel.ok("0")
    kernel.ok("del r; 0")
    assert kernel.ok("await until([])").value == "'so it is'"
    assert str(kernel.ok("w").value).startswith("<RemoteRef list, ")
    assert "on b@localhost: displayed here, and freed since>" in str(kernel.ok("w").value)
    assert str(kernel.run("await w.get()").error).startswith("FrameGone: RemoteRef list, ")


def test_what_the_user_calls_underscore_is_his(kernel: Kernel):
    kernel.ok(f"{MAKE}\n_ = df")
    kernel.ok("df.head(1).wait()")
    assert kernel.ok("_ is df").value == "True"
    kernel.ok("del _, df; 0")


def test_after_reset_out(kernel: Kernel):
    kernel.ok(f"{MAKE}\ndf")
    kernel.ok("%reset -f out")
    kernel.ok("df")
    kernel.ok("del df; 0")


SLOW = """
def slow(path):
    import os, time
    while not os.path.exists(path): time.sleep(0.01)
    return pl.DataFrame({'a': [1, 2, 3]})
"""


def test_one_that_is_being_made_becomes_its_rows_in_its_place(kernel: Kernel, folder: Path):
    go = folder / "go"
    kernel.ok(SLOW)
    cell = kernel.begin(f"df = there.frame(slow, {str(go)!r})\ndf")
    ran = kernel.wait(cell)
    assert ran.shown()[0].startswith("being made… frame(slow) on b@localhost")
    assert kernel.ok("'being made on b@localhost' in repr(df)").value == "True"
    go.touch()
    kernel.until(cell, ran, lambda ran: ran.shown()[0].startswith("RemoteDataFrame of 3 × 1, 24 B, on b@localhost"))
    cell = kernel.begin("df.select('b')")
    ran = kernel.until(cell, kernel.wait(cell), lambda ran: "being made" not in ran.shown()[0])
    assert "failed: ColumnNotFoundError: unable to find column" in ran.shown()[0]
    kernel.ok("del df; 0")


def test_frames_of_a_pool(kernel: Kernel):
    kernel.ok(SLOW + "pool = bp.Pool('p', max=1)\nf = pool.frame(slow, '/').wait()")
    assert "│ 3   │" in str(kernel.ok("f").value)
    assert kernel.ok("len(await objects(f.node))").value == "1"
    kernel.ok("at = f.node; del f; 0")
    assert kernel.ok("await until([], at)").value == "'so it is'"
    kernel.ok("pool.stop().result(); del at, pool")


def test_a_node_that_is_frozen_and_then_lost(folder: Path, kernel: Kernel):
    with Node(folder, "c", kernel.env) as node:
        kernel.ok("on = bp.frames.on('c@localhost'); f, g, h = [on.DataFrame({'a': [i]}).wait() for i in range(3)]")
        assert "│ 0   │" in str(kernel.ok("f").value)
        node.process.send_signal(signal.SIGSTOP)
        assert "│ 0   │" in str(kernel.ok("f").value)  # what is known
        assert "its node has not answered yet>" in str(kernel.ok("g").value)
        assert str(kernel.ok("[g, h]").value).count("its node has not answered yet>") == 2
        cell = kernel.begin("i = f.head()\ni")
        assert kernel.wait(cell).shown()[0].startswith("being made… head on c@localhost")
        node.process.send_signal(signal.SIGCONT)
        assert kernel.ok("await i.height").value == "1"  # so the answers of before have come as well
        assert "│ 1   │" in str(kernel.ok("g").value)
        node.kill()
        kernel.ok("j = bp.frames.on('c@localhost').DataFrame({'a': [1]})")
        assert kernel.run("await j").status == "error"
        cell = kernel.begin("j")
        assert "failed: " in kernel.until(cell, kernel.wait(cell), lambda ran: bool(ran.shown())).shown()[0]
        with_new = "l = h.__copy__(); l"  # a handle whose rows have not come
        assert "on c@localhost: lost: " in str(kernel.ok(with_new).value)
        kernel.ok("del on, f, g, h, i, j, l; 0")


def test_taken_away(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, polars as pl\ndf = bp.frames.from_local(pl.DataFrame({'a': [1]})).wait()\ndf")
        assert kernel.ok("type(Out[1]).__name__").value == "'Shown'"
        kernel.ok("%unload_ext beampy")
        kernel.ok("df")
        assert kernel.ok("type(Out[4]).__name__").value == "'RemoteDataFrame'"
