"""Module spaces: two origins with one module name each see their own, and this process's own is never touched."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from beampy.code.manifest import digest
from beampy.code.space import Space, Spaces
from tests.unit.code.fake_source import FakeSource, connect, receiver

# One package, in two contents: V says whose it is.
FILES = {
    "helpers/__init__.py": "V = '{v}'\n",
    "helpers/sub.py": "V = 'sub {v}'\n",
    "helpers/data/who.txt": "{v}\n",
    "early.py": "from importlib import import_module\ndef get(name): return import_module(name)\n",
}
BOTH = ["first", "second"]


@pytest.fixture
def spaces() -> Iterator[Spaces]:
    with receiver() as made:
        yield made


def origin(spaces: Spaces, v: str, files: dict[str, str]) -> tuple[Space, FakeSource]:
    source = FakeSource({path: text.replace("{v}", v) for path, text in (FILES | files).items()}, f"{v}@host")
    return connect(spaces, source, digest(v.encode()).hex()[:16]), source


def two(spaces: Spaces, files: dict[str, str], name: str) -> list[ModuleType]:
    """The module `name` of two origins; the second one's is prefixed."""
    made = [origin(spaces, v, files) for v in BOTH]
    found = [space.module(*source.ref(name)) for space, source in made]
    assert found[0].__name__ == name
    assert found[1].__name__ == f"{made[1][0].label}.{name}"
    return found


def test_import_statements(spaces: Spaces) -> None:
    text = (
        "import helpers\nimport helpers.sub\nimport helpers.sub as s\nfrom helpers import V, sub\n"
        "from helpers.sub import V as W\n"
        "from helpers import *\n"
        "def late():\n    import helpers.sub\n    import helpers.sub as s\n    from helpers import sub, V\n"
        "    return [helpers.V, helpers.sub.V, s.V, sub.V, V]\n"
    )
    for module, v in zip(two(spaces, {"user.py": text}, "user"), BOTH, strict=True):
        sub = f"sub {v}"
        assert [
            v,
            sub,
            sub,
            v,
            sub,
            sub,
        ] == [module.helpers.V, module.helpers.sub.V, module.s.V, module.V, module.W, module.sub.V]
        assert module.late() == [v, sub, sub, sub, v]


def test_relative_imports(spaces: Spaces) -> None:
    files = {
        "pkg/__init__.py": "from .a import V\n",
        "pkg/a.py": "from . import b\nfrom .b import V\n",
        "pkg/b.py": "V = '{v}'\n",
    }
    assert [module.V for module in two(spaces, files, "pkg")] == BOTH


def test_import_module_before_and_after_the_first_clash(spaces: Spaces) -> None:
    late = "import importlib\nfrom importlib import import_module\ndef get(name): return import_module(name)\n"
    late += "def relative(): return importlib.import_module('.sub', importlib.import_module('helpers').__name__)\n"
    late += "def literally(): return import_module('.sub', 'helpers')\n"
    (one, its), (other, theirs) = [origin(spaces, v, {"late.py": late}) for v in BOTH]
    early = one.module(*its.ref("early"))  # nothing is prefixed yet
    early_too = other.module(*theirs.ref("early"))
    found = [one.module(*its.ref("late")), other.module(*theirs.ref("late"))]
    for get in ("helpers", "helpers.sub"):
        expected = BOTH if get == "helpers" else [f"sub {v}" for v in BOTH]
        assert expected == [early.get(get).V, early_too.get(get).V]
        assert [module.get(get).V for module in found] == expected
    assert [module.relative().V for module in found] == [f"sub {v}" for v in BOTH]
    assert [module.literally().V for module in found] == [f"sub {v}" for v in BOTH]
    assert importlib.import_module("json") is sys.modules["json"]


def test_a_name_that_only_a_string_has(spaces: Spaces) -> None:
    files = {"user.py": "import importlib\ndef get(name): return importlib.import_module(name).V\n"}
    for module, v in zip(
        [s.module(*f.ref("user")) for s, f in [origin(spaces, v, files) for v in BOTH]], BOTH, strict=True
    ):
        assert module.get("helpers.sub") == f"sub {v}"


def test_pickle(spaces: Spaces) -> None:
    text = "import pickle\nimport helpers\nclass C:\n    def __init__(self, v): self.v = v\n"
    text += "def around(): return pickle.loads(pickle.dumps([C(helpers.V), C, helpers.sub_of]))\n"
    files = {"shapes.py": text, "helpers/__init__.py": "V = '{v}'\ndef sub_of(): return V\n"}
    for module, v in zip(two(spaces, files, "shapes"), BOTH, strict=True):
        made, cls, function = module.around()
        assert type(made) is cls is module.C
        assert (made.v, function()) == (v, v)


def test_dataclasses_with_string_annotations(spaces: Spaces) -> None:
    text = (
        "from __future__ import annotations\nimport typing\nfrom dataclasses import dataclass, field, fields, InitVar\n"
        "from typing import ClassVar\nimport helpers.sub\n"
        "class Mark: V = '{v}'\n"
        "@dataclass\nclass D:\n    mark: Mark\n    n: int = 0\n"
        "    kind: ClassVar[str] = 'x'\n    seed: InitVar[int] = 1\n"
        "def hints(): return typing.get_type_hints(D)\n"
        "def names(): return [f.name for f in fields(D)]\n"
    )
    for module, v in zip(two(spaces, {"records.py": text}, "records"), BOTH, strict=True):
        assert module.hints()["mark"] is module.Mark
        assert v == module.Mark.V
        assert module.names() == ["mark", "n"]
        made = module.D(module.Mark(), seed=2)
        assert made == module.D(made.mark, 0)


def test_pydantic_models(spaces: Spaces) -> None:
    pytest.importorskip("pydantic")
    text = (
        "from __future__ import annotations\nimport pydantic\nimport helpers\n"
        "class Model(pydantic.BaseModel):\n    part: Part\n    v: str = helpers.V\n"
        "class Part(pydantic.BaseModel):\n    n: int\n"
        "def make(): return Model.model_validate({'part': {'n': '3'}})\n"
    )
    for module, v in zip(two(spaces, {"models.py": text}, "models"), BOTH, strict=True):
        made = module.make()
        assert (made.v, made.part.n, type(made.part)) == (v, 3, module.Part)


def test_package_resources_by_name_and_by_module(spaces: Spaces) -> None:
    text = (
        "import importlib.resources as r, pkgutil\nimport helpers\n"
        "def by_name(): return r.files('helpers').joinpath('data/who.txt').read_text()\n"
        "def by_module(): return (r.files(helpers) / 'data' / 'who.txt').read_text()\n"
        "def by_pkgutil(): return pkgutil.get_data('helpers', 'data/who.txt').decode()\n"
        "def by_own_name(): return pkgutil.get_data(helpers.__name__, 'data/who.txt').decode()\n"
    )
    for module, v in zip(two(spaces, {"reader.py": text}, "reader"), BOTH, strict=True):
        assert {module.by_name(), module.by_module(), module.by_pkgutil(), module.by_own_name()} == {f"{v}\n"}


def test_the_module_itself_and_its_logger(spaces: Spaces) -> None:
    text = "import sys, logging, helpers\nV = '{v}'\nme = sys.modules[__name__]\nlog = logging.getLogger(__name__)\n"
    found = two(spaces, {"own.py": text}, "own")
    assert [module.me.V for module in found] == BOTH
    assert found[0].log is not found[1].log
    assert all(module.log.name == module.__name__ for module in found)


def test_mock_patch_by_dotted_name(spaces: Spaces) -> None:
    text = (
        "from unittest import mock\nimport helpers.sub\n"
        "@mock.patch('helpers.sub.V', 'patched')\ndef decorated(): return helpers.sub.V\n"
        "def call(): return decorated()\n"
        "def inside():\n    with mock.patch('helpers.V', 'also'):\n        return helpers.V\n"
        "def value(): return helpers.V, helpers.sub.V\n"
    )
    for module, v in zip(two(spaces, {"tests_of.py": text}, "tests_of"), BOTH, strict=True):
        assert module.call() == "patched"
        # Called from elsewhere, nothing of the origin is on the stack before mock looks the name up.
        shipped = spaces.shipped(module.__name__)
        assert shipped is not None
        with spaces.of(shipped.origin, "").importing():
            assert module.decorated() == "patched"
        assert module.inside() == "also"
        assert module.value() == (v, f"sub {v}")


def test_find_spec(spaces: Spaces) -> None:
    text = "import importlib.util, helpers\ndef spec(name): return importlib.util.find_spec(name)\n"
    for module in two(spaces, {"asks.py": text}, "asks"):
        assert module.spec("helpers.sub").loader.space.label in (
            module.__name__.partition(".")[0],
            "first_" + digest(b"first").hex()[:6],
        )
        assert module.spec("helpers").name == module.helpers.__name__
        assert module.spec("surely_not_there") is None


def test_a_live_module_of_a_package_that_is_prefixed(spaces: Spaces) -> None:
    for v in BOTH:
        space, _ = origin(spaces, v, {})
        live = space.pseudo("helpers.edited")
        exec("def f():\n    from .sub import V\n    from . import V as W\n    return V, W\n", live.__dict__)
        assert live.f() == (f"sub {v}", v)


def test_both_versions_serve_calls_at_once(spaces: Spaces) -> None:
    text = "def call(go):\n    go.wait(10)\n    import helpers.sub as s, helpers\n    return helpers.V, s.V\n"
    found = two(spaces, {"busy.py": text, "helpers/__init__.py": "import time\ntime.sleep(0.01)\nV = '{v}'\n"}, "busy")
    go = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(found[at % 2].call, go) for at in range(8)]
        assert [call.result(20) for call in calls] == [(BOTH[at % 2], f"sub {BOTH[at % 2]}") for at in range(8)]


def test_same_path_of_two_origins_shows_its_own_source(spaces: Spaces) -> None:
    import inspect

    found = two(spaces, {"where.py": "import helpers\ndef f():\n    return '{v}'\n"}, "where")
    for module, v in zip(found, BOTH, strict=True):
        assert f"return '{v}'" in inspect.getsource(module.f)
    assert found[0].__file__ == "/origin/where.py"


# ---- this process's own ----


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on this process's path; what is imported from it is forgotten at the end."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    importlib.invalidate_caches()


@pytest.mark.parametrize("imported", [True, False])
def test_an_own_module_of_other_content_is_not_touched(own: Path, imported: bool) -> None:
    write(own, {"helpers.py": "V = 'own'\n"})
    before = importlib.import_module("helpers") if imported else None
    with receiver({"helpers": digest(b"V = 'own'\n")}) as spaces:
        source = FakeSource(
            {
                "helpers.py": "V = 'theirs'\n",
                "user.py": "import helpers\ndef late():\n    import helpers\n    return helpers.V\n",
            }
        )
        space = connect(spaces, source)
        user = space.module(*source.ref("user"))
        assert user.__name__ == "user"
        assert user.late() == user.helpers.V == "theirs"
        assert sys.modules.get("helpers") is before
        assert importlib.import_module("helpers").V == "own"
        assert user.late() == "theirs"
        assert space.module(*source.ref("helpers")) is user.helpers
    assert importlib.import_module("helpers").V == "own"


@pytest.mark.parametrize("imported", [True, False])
def test_an_own_module_of_equal_content_is_used(own: Path, imported: bool) -> None:
    files = {"user.py": "import helpers\n", "helpers.py": "V = 1\n"}
    write(own, files)
    before = importlib.import_module("user") if imported else None
    with receiver({name[:-3]: digest(text.encode()) for name, text in files.items()}) as spaces:
        source = FakeSource(files)
        user = connect(spaces, source).module(*source.ref("user"))
        assert before in (None, user)
        assert user is importlib.import_module("user")
        assert user.__file__ == str(own / "user.py")
        assert spaces.shipped("user") is None
        assert source.questions("contents") == []
    assert sys.modules["user"] is user


def test_an_own_module_that_needs_another_content_is_not_used(own: Path) -> None:
    files = {"user.py": "import helpers\n", "helpers.py": "V = 'own'\n"}
    write(own, files)
    with receiver() as spaces:
        source = FakeSource(files | {"helpers.py": "V = 'theirs'\n"})
        user = connect(spaces, source).module(*source.ref("user"))
        assert (user.__name__, user.helpers.V) == ("nb_3f2a9c.user", "theirs")
        assert importlib.import_module("user").helpers.V == "own"


def test_an_own_module_is_left_when_the_origin_changes_it(own: Path) -> None:
    files = {"helpers.py": "V = 1\n"}
    write(own, files)
    with receiver({"helpers": digest(b"V = 1\n")}) as spaces:
        source = FakeSource(files)
        space = connect(spaces, source)
        first = space.module(*source.ref("helpers"))
        source.edit("helpers.py", "V = 2\n")
        second = space.module(*source.ref("helpers"))
        assert (first.V, second.V, second.__name__) == (1, 2, "nb_3f2a9c.helpers")
        assert sys.modules["helpers"] is first


def test_an_own_file_that_changes_between_comparison_and_import(own: Path) -> None:
    write(own, {"helpers.py": "V = 1\n"})
    imported: dict[str, bytes] = {}
    with receiver(imported) as spaces:
        source = FakeSource({"helpers.py": "V = 1\n"})
        space = connect(spaces, source)
        space.prefetch(["helpers"])
        write(own, {"helpers.py": "V = 'edited'\n"})
        imported["helpers"] = digest(b"V = 'edited'\n")
        assert space.module(*source.ref("helpers")).V == 1
        assert sys.modules["helpers"].V == "edited"


def test_names_of_the_standard_library(spaces: Spaces) -> None:
    source = FakeSource({"colorsys.py": "V = 'theirs'\n", "user.py": "import colorsys\n"})
    user = connect(spaces, source).module(*source.ref("user"))
    assert user.colorsys.V == "theirs"
    assert not hasattr(importlib.import_module("colorsys"), "V")


def test_patching_builtins_reaches_code_that_needs_no_mapping(spaces: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    source = FakeSource({"user.py": "def f(): return len([])\n"})
    user = connect(spaces, source).module(*source.ref("user"))
    monkeypatch.setattr(builtins, "len", lambda _: "patched")
    found = user.f()
    monkeypatch.undo()
    assert found == "patched"


def test_what_an_origin_that_is_gone_left_alive_keeps_its_names(spaces: Spaces) -> None:
    files = {"user.py": "def late():\n    import helpers\n    return helpers.V\n"}
    one, its = origin(spaces, "first", files)
    late = one.attribute("user", 1, "late", its.digest("user"))
    spaces.drop(one.origin)
    other, theirs = origin(spaces, "second", files)
    assert other.module(*theirs.ref("user")).late() == "second"
    assert late() == "first"
