"""methods.pyi is what tests/stubs writes of the installed polars; and its names are those that classes have."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from beampy.frames import methods
from beampy.frames.dataframe import RemoteDataFrame
from beampy.frames.grouped import RemoteGroupBy, RemoteLazyGroupBy, RemoteWindowGroupBy
from beampy.frames.lazyframe import RemoteLazyFrame
from beampy.frames.place import Place
from beampy.frames.series import RemoteSeries
from beampy.frames.surface import Gives, class_of, functions, surface
from tests.stubs import frames as stubs
from tests.stubs import surface_page
from tests.stubs.annotations import Annotation, Names, origins, unions

STUB = stubs.TARGET.read_text(encoding="utf-8")
CLASSES = {node.name: node for node in ast.parse(STUB).body if isinstance(node, ast.ClassDef)}
HAVE: dict[str, type] = {
    "DataFrameMethods": RemoteDataFrame,
    "LazyFrameMethods": RemoteLazyFrame,
    "SeriesMethods": RemoteSeries,
    "GroupByMethods": RemoteGroupBy,
    "WindowGroupByMethods": RemoteWindowGroupBy,
    "LazyGroupByMethods": RemoteLazyGroupBy,
}
KINDS = {name: name.removesuffix("Methods").replace("Window", "Rolling") for name in HAVE}


def of_this_polars() -> None:
    version = stubs.version_of(STUB)
    if version != pl.__version__:
        pytest.skip(f"methods.pyi is of polars {version}, and this is {pl.__version__}")


def members(name: str) -> set[str]:
    return {node.name for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}


def test_the_stub_is_what_is_written_of_this_polars():
    of_this_polars()
    assert stubs.written() == STUB, "write it again: python -m tests.stubs.frames"


def test_it_is_a_stub():
    assert len(CLASSES) > 10
    for node in CLASSES.values():
        for member in node.body:
            assert isinstance(member, ast.FunctionDef) or ast.get_docstring(node), ast.unparse(member)
    assert "Unknown" not in STUB


def test_its_classes_are_those_of_the_module():
    spaces = {name for name in CLASSES if name.endswith("Namespace")}
    there = {name for name, value in vars(methods).items() if inspect.isclass(value)}
    assert CLASSES.keys() - spaces == there
    for name in there:
        assert not [each for each in vars(getattr(methods, name)) if not each.startswith("__")], "nothing at run time"


@pytest.mark.parametrize("name", HAVE)
def test_names_of_the_stub_are_those_of_the_class(name: str):
    of_this_polars()
    cls = HAVE[name]
    assert issubclass(cls, getattr(methods, name))
    kind = KINDS[name]
    asked = {each for each, entry in surface(kind).items() if entry.gives not in (Gives.OURS, Gives.REFUSED)}
    operators = {each for each in members(name) if each.startswith("__")}
    assert members(name) - operators == asked
    assert all(callable(getattr(cls, each, None)) for each in operators)


def test_places_have_their_functions():
    of_this_polars()
    assert members("PlaceFunctions") == set(functions())
    assert issubclass(Place, methods.PlaceFunctions)


@pytest.mark.parametrize("name", sorted(name for name in CLASSES if name.endswith("Namespace")))
def test_namespaces_have_their_methods(name: str):
    of_this_polars()
    space = name.removeprefix("Remote").removesuffix("Namespace").lower()
    there = type(getattr(RemoteSeries, space)._kind)
    assert there is type
    cls = getattr(RemoteSeries, space)._kind
    assert cls.__name__ == name
    assert members(name) - {"__getitem__"} == set(surface(f"Series.{space}"))
    assert ("__getitem__" in members(name)) == hasattr(cls, "__getitem__")


@pytest.mark.parametrize("name", HAVE)
def test_parameters_are_those_of_polars(name: str):
    of_this_polars()
    kind = KINDS[name]
    for node in CLASSES[name].body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("__"):
            continue
        if any(ast.unparse(each) == "overload" for each in node.decorator_list):
            continue  # fewer, or other ones, each
        static = inspect.getattr_static(class_of(kind), node.name)
        if isinstance(static, property):
            continue
        theirs = list(inspect.signature(getattr(class_of(kind), node.name)).parameters)
        args = node.args
        every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
        assert [arg.arg for arg in every if arg is not None] == theirs, node.name


SERIES = "polars.series.series"


@pytest.mark.parametrize(
    ("module", "said", "given", "text"),
    [
        (SERIES, "DataFrame | None", False, "RemoteDataFrame | None"),
        (SERIES, "DataFrame | None", True, "pl.DataFrame | RemoteDataFrame | None"),
        (SERIES, "list_[Series]", True, "Sequence[pl.Series | RemoteSeries]"),
        (SERIES, "IntoExpr | int", True, "IntoExpr | RemoteSeries | int"),
        (SERIES, "IntoExpr | int", False, "IntoExpr | int"),
        (SERIES, "Callable[[Series], Series]", True, "Callable[[pl.Series], pl.Series]"),
        (SERIES, "Literal['a', 'b'] | None", True, 'Literal["a", "b"] | None'),
        (SERIES, "pl.Series | Series", True, "pl.Series | RemoteSeries"),
        (SERIES, "jax.Array | None", False, "Any | None"),
        (SERIES, "pa.Array", False, "pa.Array"),
        (SERIES, "'int | Series'", False, "int | RemoteSeries"),
        (SERIES, "str_", False, "str"),
    ],
)
def test_annotations(module: str, said: str, given: bool, text: str):
    of_this_polars()
    assert Annotation(module, Names(), given).text(ast.parse(said, mode="eval").body) == text


def test_a_type_of_the_name_of_a_method_is_called_something_else():
    of_this_polars()
    names = Names()
    names.taken = {"str"}
    assert Annotation(SERIES, names, given=False).text(ast.parse("str_", mode="eval").body) == "_str"
    assert names.imports() == "from builtins import str as _str"


def test_polars_own_names_for_unions_are_read():
    assert {"Series"} <= unions()["IntoExpr"]
    assert {"Series"} <= unions()["IntoExprColumn"]
    assert "PolarsDataType" not in unions()
    assert origins(SERIES)["IntoExpr"].module == "polars._typing"


@pytest.mark.parametrize("script", [stubs, surface_page])
def test_a_script_says_whether_its_file_is_up_to_date(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "file"
    monkeypatch.setattr(script, "written", lambda: "as it is written")
    monkeypatch.setattr(script, "TARGET", target)
    monkeypatch.setattr(sys, "argv", ["script", "--check"])
    assert script.main() == 1
    target.write_text("as it was written", encoding="utf-8")
    assert script.main() == 1
    monkeypatch.setattr(sys, "argv", ["script"])
    assert script.main() == 0
    assert target.read_text(encoding="utf-8") == "as it is written"
    monkeypatch.setattr(sys, "argv", ["script", "--check"])
    assert script.main() == 0
