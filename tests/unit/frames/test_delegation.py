"""Delegated methods as people meet them: signatures, documentation, `dir`, completion; and that nothing is asked by
looking.
"""

from __future__ import annotations

import inspect
import pydoc
from typing import Any

import polars as pl
import pytest

import beampy as bp
from beampy.errors import FrameRefused
from beampy.frames import (
    RemoteDataFrame,
    RemoteGroupBy,
    RemoteLazyFrame,
    RemoteLazyGroupBy,
    RemoteSeries,
    RemoteWindowGroupBy,
)
from beampy.frames.delegation import WHERE, delegate, documented, signature_of
from beampy.frames.surface import CLASSES, OURS, REFUSED, Gives, class_of, namespaces, removal, surface
from beampy.frames.tree import Step
from tests.unit.notebook.editor_ground import Answered
from tests.unit.refs.using_ground import at, between

REMOTE: dict[str, Any] = {
    "DataFrame": RemoteDataFrame,
    "LazyFrame": RemoteLazyFrame,
    "Series": RemoteSeries,
    "GroupBy": RemoteGroupBy,
    "DynamicGroupBy": RemoteWindowGroupBy,
    "RollingGroupBy": RemoteWindowGroupBy,
    "LazyGroupBy": RemoteLazyGroupBy,
    **{f"Series.{space}": vars(RemoteSeries)[space]._kind for space in namespaces("Series")},
}


class Nobody:
    """What a frame is made of that is on no node."""

    ready = False
    where = None
    node = None

    def done(self) -> bool:
        return False


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is asked of frames: nothing gets anywhere."""
    found: list[Any] = []

    def ask(self: Any, gives: Gives, *steps: Step) -> Any:
        found.append((gives, *steps))

    for cls in (RemoteDataFrame, RemoteSeries):
        monkeypatch.setattr(cls, "_ask", ask)
    return found


def frame(cls: type = RemoteDataFrame) -> Any:
    made = cls.__new__(cls)
    made._held, made._seen = Nobody(), None
    return made


# what a method is


@pytest.mark.parametrize("kind", REMOTE)
def test_signatures_are_those_of_polars_with_what_comes_here(kind: str):
    shown = {
        Gives.FRAME: "RemoteDataFrame",
        Gives.LAZY: "RemoteLazyFrame",
        Gives.SERIES: "RemoteSeries",
        Gives.GROUPS: "RemoteGroupBy",
        Gives.WINDOWS: "RemoteWindowGroupBy",
        Gives.LAZY_GROUPS: "RemoteLazyGroupBy",
    }
    tried = 0
    for name, entry in surface(kind).items():
        if entry.attribute or entry.gives in (Gives.OURS, Gives.REFUSED, Gives.NAMESPACE):
            continue
        theirs = inspect.signature(getattr(class_of(kind), name))
        ours = inspect.signature(getattr(REMOTE[kind], name))
        assert ours.parameters == theirs.parameters, name
        given = ours.return_annotation
        assert given == shown.get(entry.gives) or given.startswith("Handle["), name
        assert getattr(REMOTE[kind], name).__name__ == name
        tried += 1
    assert tried


def test_values_are_annotated_as_handles_of_what_comes():
    assert inspect.signature(RemoteDataFrame.equals).return_annotation == "Handle[bool]"
    assert inspect.signature(RemoteDataFrame.get_columns).return_annotation == "Handle[list[RemoteSeries]]"
    assert inspect.signature(RemoteSeries.to_pandas).return_annotation == "Handle[pd.Series[Any]]"

    def plain(a: int): ...

    def frames(a: int) -> pl.DataFrame | dict[str, pl.Series]: ...

    assert signature_of(plain, Gives.VALUE).return_annotation == "Handle[Any]"
    said = "Handle[RemoteDataFrame | dict[str, RemoteSeries]]"
    assert signature_of(frames, Gives.VALUE).return_annotation == said


@pytest.mark.parametrize("kind", REMOTE)
def test_documentation_says_first_where_it_runs(kind: str):
    for name, entry in surface(kind).items():
        if entry.gives in (Gives.OURS, Gives.REFUSED, Gives.NAMESPACE):
            continue
        first, _, rest = (inspect.getdoc(inspect.getattr_static(REMOTE[kind], name)) or "").partition("\n\n")
        assert first == WHERE[entry.gives], name
        static = inspect.getattr_static(class_of(kind), name)
        theirs = inspect.getdoc(static if isinstance(static, property) else getattr(class_of(kind), name)) or ""
        assert rest.split() == theirs.split(), name  # every word; its examples, too


def test_documentation_of_one_line_and_of_none():
    def one() -> None:
        """One line."""

    def none() -> None: ...

    assert documented(one, Gives.FRAME) == f"{WHERE[Gives.FRAME]}\n\nOne line."
    assert documented(none, Gives.FRAME) == WHERE[Gives.FRAME]


def test_help_shows_them():
    text = pydoc.plain(pydoc.render_doc(RemoteDataFrame.filter))
    assert "filter(self,*predicates" in "".join(text.split())  # from Python 3.13 on long ones have several lines
    assert WHERE[Gives.FRAME] in text
    assert "Filter rows" in text


def test_a_class_that_lacks_what_it_has_to_do_itself_is_not_made():
    class Empty:
        pass

    with pytest.raises(TypeError, match=r"Empty has to have '(append|extend|scatter)' itself"):
        delegate(Empty, "Series")


def test_what_a_class_has_itself_is_left_alone():
    class Own:
        append = extend = scatter = plot = mean = 1
        arr = bin = cat = dt = ext = list = map = str = struct = 1

    delegate(Own, "Series")
    assert Own.mean == 1
    assert inspect.isfunction(Own.median)


# refused names


@pytest.mark.parametrize("kind", ["DataFrame", "LazyFrame", "Series"])
def test_refused_names_say_what_to_do_instead(kind: str):
    made = frame(REMOTE[kind]) if kind != "LazyFrame" else RemoteLazyFrame.__new__(RemoteLazyFrame)
    listed = set(dir(made))
    for name, why in REFUSED[kind].items():
        if name not in surface(kind):  # of a polars that has none
            continue
        with pytest.raises(FrameRefused, match="instead:") as caught:
            getattr(made, name)
        assert caught.value.what == f"Remote{kind}.{name}"
        assert caught.value.why == why
        assert not hasattr(made, name)
        assert name not in listed
        assert not hasattr(REMOTE[kind], name)
    assert {"filter", "head", *OURS[kind].split()} <= listed


def test_a_name_of_nobody_is_a_plain_attribute_error():
    for made, name in ((frame(), "filtre"), (frame(RemoteSeries).str, "upper"), (frame(), "_repr_png_")):
        with pytest.raises(AttributeError, match=rf"Remote.*{name}") as caught:
            getattr(made, name)
        assert type(caught.value) is AttributeError
        assert (caught.value.name, caught.value.obj) == (name, made)  # python suggests names that are like it


def test_names_that_polars_had_say_what_polars_says():
    if not removal("DataFrame", "melt"):
        pytest.skip(f"polars {pl.__version__} says nothing of melt")
    with pytest.raises(AttributeError, match=r"use `DataFrame.unpivot` instead"):
        _ = frame().melt
    assert removal("DataFrame", "filter") == removal("DataFrame", "filtre") == removal("GroupBy", "apply") == ""


# looking asks nothing


def test_dir_and_pydoc_ask_nothing(asked: list[Any]):
    df, series = frame(), frame(RemoteSeries)
    assert {"shape", "filter", "to_node", "collect", "wait"} <= set(dir(df))
    assert {"str", "mean", "to_frame"} <= set(dir(series))
    assert {"to_uppercase", "contains"} <= set(dir(series.str))
    assert callable(df.filter)
    assert "RemoteDataFrame" in pydoc.render_doc(df)
    assert asked == []
    _ = df.shape
    assert asked == [(Gives.VALUE, Step("shape", None, {}))]


COMPLETED = [
    ("df.sh", {"shape", "shift", "show"}, {"sh"}),
    ("df.plo", set(), {"plot"}),
    ("df.filter(1).hei", {"height"}, set()),
    ("df['a'].str.to_up", {"to_uppercase"}, set()),
    ("df.to_series().dt.ye", {"year"}, set()),
    ("df.lazy().group_b", {"group_by", "group_by_dynamic"}, set()),
    ("df.group_by('a').ag", {"agg"}, set()),
    ("series.str.to_low", {"to_lowercase"}, set()),
    ("series.strin", set(), set()),
    ("place.read_cs", {"read_csv"}, set()),
    ("place.read_csv('a').wid", {"width"}, set()),
    ("place.scan_parquet('a').sink_p", {"sink_parquet"}, set()),
    ("df.shape.resul", set(), set()),
]


@pytest.mark.parametrize(("code", "there", "absent"), COMPLETED, ids=lambda each: each if isinstance(each, str) else "")
def test_jedi_completes_through_polars_types_and_asks_nothing(
    code: str, there: set[str], absent: set[str], asked: list[Any]
):
    jedi = pytest.importorskip("jedi")
    names = {"df": frame(), "series": frame(RemoteSeries), "place": bp.frames.on("b@127.0.0.1")}
    found = {each.name for each in jedi.Interpreter(code, [names]).complete()}
    assert there <= found
    assert not absent & found
    assert bool(there) or not found
    assert asked == []


def test_jedi_knows_the_parameters(asked: list[Any]):
    jedi = pytest.importorskip("jedi")
    (signature,) = jedi.Interpreter("df.sort(", [{"df": frame()}]).get_signatures()
    assert [each.name for each in signature.params][:4] == ["by", "more_by", "descending", "nulls_last"]
    assert asked == []


@pytest.mark.parametrize("jedi", [True, False])
@pytest.mark.parametrize("evaluation", ["minimal", "limited"])
def test_ipython_completes_and_asks_nothing(jedi: bool, evaluation: str, asked: list[Any]):
    completer = pytest.importorskip("IPython.core.completer")
    names = {"df": frame(), "series": frame(RemoteSeries)}
    ip = completer.IPCompleter(namespace=names, use_jedi=jedi, evaluation=evaluation)
    for code, expected in (("df.sha", "shape"), ("df.fil", "filter"), ("series.str.to_up", "to_uppercase")):
        with completer.provisionalcompleter():
            found = [each.text.removeprefix(".") for each in ip.completions(code, len(code))]
        assert expected in found or not jedi  # which without jedi looks only into what it trusts
    for code in ("df.shape.re", "df.columns[0].up", "df['a'].dtype."):
        with completer.provisionalcompleter():
            list(ip.completions(code, len(code)))
    assert asked == []


def test_editors_of_cells_for_nodes_ask_nothing(asked: list[Any]):
    suggestions = pytest.importorskip("beampy.notebook.suggestions")
    code = "%%on b@127.0.0.1\ndf.sha"
    found = suggestions.complete(code, len(code), {"bp": bp}, Answered({"df": frame()}))
    assert [each.text for each in found.items] == ["shape"]
    for code, texts in (("df.sha", ["shape"]), ("df.plo", []), ("series.str.to_up", ["to_uppercase"])):
        names = {"df": frame(), "series": frame(RemoteSeries)}
        found = suggestions.complete(code, len(code), names, Answered(None))
        assert found is None or [each.text for each in found.items] == texts  # None: IPython's own stands
    assert asked == []


# and they run


@between
async def test_methods_of_each_kind_run_where_the_data_is():
    df = bp.frames.on(at("b")).DataFrame({"a": [1, 2, 2], "b": ["x", "Y", "z"]})
    assert isinstance(df.filter(pl.col("a") > 1), RemoteDataFrame)
    assert await df.filter(pl.col("a") > 1).height == 2
    assert await df["b"].str.to_uppercase().to_list() == ["X", "Y", "Z"]
    assert (await df.group_by("a").len().sort("a").collect()).rows() == [(1, 1), (2, 2)]
    rolling = df.with_columns(a=pl.Series([1, 2, 3])).rolling("a", period="2i")
    assert isinstance(rolling, RemoteWindowGroupBy)
    assert await rolling.agg(pl.col("b").last()).height == 3
    assert not hasattr(rolling, "mean")
    assert (await df.lazy().group_by("a").len().sort("a").collect()).rows() == [(1, 1), (2, 2)]
    assert await (df["a"] @ df["a"]) == 9
    assert await (df["a"] + df.select("a")).columns == ["a"]
    parts = await df.partition_by("a")
    assert [await part.height for part in parts] == [1, 2]
    assert all(part.node == at("b") for part in parts)


@between
async def test_functions_that_take_many_plans_are_one_message():
    there = bp.frames.on(at("b"))
    df = there.DataFrame({"a": [3, 1, 2]})
    small, large = await there.collect_all([df.lazy().filter(pl.col("a") < 2), df.lazy().filter(pl.col("a") > 1)])
    assert (small.node, await small.height, await large.height) == (at("b"), 1, 2)
    assert await there.union([df, df]).height == 6
    if hasattr(pl, "merge_sorted"):
        assert await there.merge_sorted([df.sort("a"), df.sort("a")], "a")["a"].to_list() == [1, 1, 2, 2, 3, 3]
    assert isinstance(there.concat([df.lazy(), df.lazy()]), RemoteLazyFrame)
    with pytest.raises(FrameRefused, match="from_local"):
        _ = there.read_clipboard
    with pytest.raises(AttributeError, match=r"has no 'col'"):
        _ = there.col


def test_places_show_polars_functions():
    there = bp.frames.on("b@127.0.0.1")
    assert str(inspect.signature(there.read_json)).endswith("-> 'RemoteDataFrame'")
    assert next(iter(inspect.signature(there.read_json).parameters)) == "source"
    assert (inspect.getdoc(there.scan_csv) or "").startswith(WHERE[Gives.LAZY])
    assert "scan_parquet" in dir(there)
    assert "read_clipboard" not in dir(there)


def test_every_class_of_the_surface_has_its_remote_one():
    assert CLASSES.keys() <= REMOTE.keys()
    assert set(surface("DynamicGroupBy")) == set(surface("RollingGroupBy"))  # which have one class here
