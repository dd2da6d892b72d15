"""A module of another process, run here: as it is there, whatever it imports, however it is imported."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import linecache
import marshal
import pdb
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from beampy.code.fetching import MAGIC, code_key
from beampy.code.space import Spaces
from beampy.code.store import Store
from beampy.errors import OriginLost
from tests.unit.code.fake_source import ROOT, FakeSource, connect, receiver


@pytest.fixture
def spaces() -> Iterator[Spaces]:
    with receiver() as made:
        yield made


def load(spaces: Spaces, files: dict[str, str], name: str):
    source = FakeSource(files)
    return connect(spaces, source).module(*source.ref(name))


def test_a_module_looks_as_at_its_origin(spaces: Spaces) -> None:
    module = load(spaces, {"helpers.py": '"""What it does."""\nwhere = __name__, __file__, __package__\n'}, "helpers")
    assert module.where == ("helpers", f"{ROOT}/helpers.py", "")
    assert module.__doc__ == "What it does."
    assert sys.modules["helpers"] is module
    assert (module.__spec__.name, module.__spec__.parent, module.__spec__.has_location) == ("helpers", "", True)


def test_every_way_to_import_submodules(spaces: Spaces) -> None:
    source = FakeSource(
        {
            "entry.py": "import pkg.a\nimport pkg.b as b\nfrom pkg import c\nfrom pkg.deep import *\nimport pkg\n"
            "from pkg.deep.er import E as renamed\n",
            "pkg/__init__.py": "from . import a\nhere = 'pkg'\n",
            "pkg/a.py": "from . import b\nA = b.B + 1\n",
            "pkg/b.py": "B = 1\n",
            "pkg/c.py": "from .a import A\nfrom . import here\nC = A + 1\n",
            "pkg/deep/__init__.py": "__all__ = ['D', 'er']\nD = 4\n",
            "pkg/deep/er.py": "from ..c import C\nfrom .. import b\nE = C + b.B\n",
        }
    )
    entry = connect(spaces, source).module(*source.ref("entry"))
    assert (entry.pkg.a.A, entry.b.B, entry.c.C, entry.D, entry.er.E, entry.renamed) == (2, 1, 3, 4, 4, 4)
    assert entry.pkg.deep.er is sys.modules["pkg.deep.er"]
    assert source.questions("entries") == [("entry",)]
    assert source.questions("contents") == [7]  # one question for all sources


def test_circular_imports(spaces: Spaces) -> None:
    files = {"ring/__init__.py": "", "ring/one.py": "from . import two\nX = 1\ndef both(): return X + two.Y\n"}
    files["ring/two.py"] = "import ring.one as one\nY = 2\ndef both(): return one.X + Y\n"
    source = FakeSource(files)
    space = connect(spaces, source)
    assert space.attribute(*source.ref("ring.two")[:2], "both", b"")() == 3
    assert space.module(*source.ref("ring.one")).both() == 3


def test_nested_attributes_and_what_is_not_there(spaces: Spaces) -> None:
    source = FakeSource({"shapes.py": "class Square:\n    class Corner:\n        def name(self): return 'c'\n"})
    space = connect(spaces, source)
    name, version, digest = source.ref("shapes")
    corner = space.attribute(name, version, "Square.Corner", digest)
    assert corner().name() == "c"
    assert corner.__module__ == "shapes"
    with pytest.raises(AttributeError, match=r"shapes of nb@host has no Square\.Edge"):
        space.attribute(name, version, "Square.Edge", digest)


def test_a_module_that_the_origin_has_not(spaces: Spaces) -> None:
    space = connect(spaces, FakeSource({}))
    with pytest.raises(ModuleNotFoundError, match="nb@host has no module nothing") as caught:
        space.module("nothing", 1, b"")
    assert caught.value.name == "nothing"


def test_the_main_guard_does_not_run(spaces: Spaces) -> None:
    module = load(spaces, {"script.py": "ran = []\nif __name__ == '__main__':\n    ran.append(1)\n"}, "script")
    assert module.ran == []


def test_lazy_imports_and_module_getattr(spaces: Spaces) -> None:
    files = {
        "lazy/__init__.py": "import importlib\ndef __getattr__(name):\n    if name == 'heavy':\n"
        "        return importlib.import_module('.heavy', __name__)\n    raise AttributeError(name)\n"
        "def late():\n    from .other import O\n    import lazy.heavy as h\n    return O + h.H\n",
        "lazy/heavy.py": "H = 10\n",
        "lazy/other.py": "O = 1\n",
    }
    module = load(spaces, files, "lazy")
    assert "lazy.heavy" not in sys.modules
    assert module.heavy.H == 10
    assert "lazy.other" not in sys.modules
    assert module.late() == 11


def test_lazy_loader(spaces: Spaces) -> None:
    files = {
        "eager.py": "import importlib.util, sys\n"
        "def lazily(name):\n"
        "    spec = importlib.util.find_spec(name)\n"
        "    spec.loader = importlib.util.LazyLoader(spec.loader)\n"
        "    module = importlib.util.module_from_spec(spec)\n"
        "    sys.modules[name] = module\n"
        "    spec.loader.exec_module(module)\n"
        "    return module\n",
        "ran.py": "times = 0\n",
        "heavy.py": "import ran\nran.times += 1\nX = 5\n",
    }
    source = FakeSource(files)
    space = connect(spaces, source)
    heavy = space.module(*source.ref("eager")).lazily("heavy")
    ran = space.module(*source.ref("ran"))
    assert ran.times == 0
    assert heavy.X == 5
    assert ran.times == 1
    assert space.module(*source.ref("heavy")) is heavy


def test_init_runs_once_though_threads_import_at_once(spaces: Spaces) -> None:
    files = {
        "counted.py": "times = []\n",
        "pkg/__init__.py": "import time, counted\ncounted.times.append(1)\ntime.sleep(0.05)\nfrom . import a, b\n",
        "pkg/a.py": "import time, pkg.b\ntime.sleep(0.02)\nV = 1\n",
        "pkg/b.py": "import time\ntime.sleep(0.02)\nV = 2\n",
    }
    source = FakeSource(files)
    space = connect(spaces, source)
    names = ["pkg", "pkg.a", "pkg.b"] * 4
    start = threading.Barrier(len(names))

    def one(name: str):
        start.wait(10)
        return space.module(*source.ref(name))

    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(one, names))
    assert all(module is sys.modules[name] for name, module in zip(names, found, strict=True))
    assert [module.V for name, module in zip(names, found, strict=True) if name == "pkg.b"] == [2] * 4
    assert space.module(*source.ref("counted")).times == [1]
    assert sum(source.questions("contents")) == 4  # no source was fetched twice


def test_a_failing_import_leaves_nothing_and_is_tried_again(spaces: Spaces) -> None:
    files = {"switch.py": "on = False\n", "shaky.py": "import switch\nif not switch.on:\n    raise KeyError('off')\n"}
    files["user.py"] = "import shaky\n"
    source = FakeSource(files)
    space = connect(spaces, source)
    for _ in range(2):
        with pytest.raises(KeyError, match="off") as caught:
            space.module(*source.ref("user"))
        shown = "".join(traceback.format_exception(caught.value))
        assert f"File \"{ROOT}/shaky.py\", line 3, in <module>\n    raise KeyError('off')" in shown
        assert f'File "{ROOT}/user.py", line 1, in <module>\n    import shaky' in shown
        assert not {"shaky", "user"} & set(sys.modules)
        assert spaces.shipped("shaky") is None
    sys.modules["switch"].on = True
    assert space.module(*source.ref("user")).shaky is sys.modules["shaky"]


def test_a_syntax_error_is_the_modules_own(spaces: Spaces) -> None:
    with pytest.raises(SyntaxError) as caught:
        load(spaces, {"wrong.py": "def f(:\n"}, "wrong")
    assert (caught.value.filename, caught.value.lineno) == (f"{ROOT}/wrong.py", 1)


def test_sources_show_in_tracebacks_inspect_and_linecache(spaces: Spaces) -> None:
    text = "def outer():\n    def inner():\n        return 1 / 0  # here\n    return inner()\n"
    text += "\x0c\nclass C:\n    x = 'ä'\n"
    module = load(spaces, {"shown.py": text}, "shown")
    with pytest.raises(ZeroDivisionError) as caught:
        module.outer()
    assert "return 1 / 0  # here" in "".join(traceback.format_exception(caught.value))
    linecache.checkcache()
    assert inspect.getsource(module.outer) == "".join(text.splitlines(keepends=True)[:4])
    assert inspect.getsource(module.C) == "class C:\n    x = 'ä'\n"
    assert inspect.getsource(module) == text
    assert inspect.getsourcefile(module.C) == f"{ROOT}/shown.py"
    assert inspect.getmodule(module.outer) is module


def test_pdb_breaks_by_file_and_line(spaces: Spaces) -> None:
    module = load(spaces, {"stepped.py": "def f(x):\n    y = x + 1\n    return y\n"}, "stepped")
    said = io.StringIO()
    # Since 3.13 pdb takes no file name that is not on this disk; the file that it is in needs none.
    where = f"{ROOT}/stepped.py:3" if sys.version_info < (3, 13) else "3"
    commands = io.StringIO(f"break {where}\ncontinue\np y\nlist\nclear 1\ncontinue\n")
    debugger = pdb.Pdb(stdin=commands, stdout=said, nosigint=True, readrc=False)
    assert debugger.runcall(module.f, 1) == 2
    assert f"Breakpoint 1 at {ROOT}/stepped.py:3" in said.getvalue()
    assert "    y = x + 1" in said.getvalue()
    assert "(Pdb) 2\n" in said.getvalue()


def test_an_encoding_cookie_counts(spaces: Spaces) -> None:
    source = FakeSource({"latin.py": "# -*- coding: utf-8 -*-\nname = 'né'\n"})
    module = connect(spaces, source).module(*source.ref("latin"))
    assert module.name == "né"
    assert "né" in module.__spec__.loader.get_source("latin")


def test_reload_by_its_user(spaces: Spaces) -> None:
    files = {"kept.py": "times = globals().get('times', 0) + 1\n"}
    files["user.py"] = "import importlib, kept\ndef again(): return importlib.reload(kept)\n"
    module = load(spaces, files, "user")
    kept = module.kept
    assert module.again() is kept
    assert kept.times == 2
    assert importlib.reload(kept).times == 3  # by code of this process too
    assert spaces.shipped("kept") is not None


def test_compiled_code_is_used_where_it_fits_and_kept(spaces: Spaces) -> None:
    source = FakeSource({"fast.py": "def f(): return 1\n"})
    source.magic = MAGIC
    module = connect(spaces, source).module(*source.ref("fast"))
    kept = spaces.store.get(code_key(source.digest("fast")))
    assert kept is not None
    assert module.f.__code__ in marshal.loads(kept).co_consts
    # The same source of another origin, with another file name there.
    other = FakeSource(source.files, "other@host", "/elsewhere")
    found = connect(spaces, other, "0" * 16).module(*other.ref("fast"))
    assert found.f.__code__.co_filename == found.__file__ == "/elsewhere/fast.py"
    assert other.questions("contents") == []


def test_what_was_compiled_here_is_kept(spaces: Spaces) -> None:
    source = FakeSource({"slow.py": "X = 1\n"})
    connect(spaces, source).module(*source.ref("slow"))
    assert spaces.store.get(code_key(source.digest("slow"))) is not None


def test_a_package_without_init(spaces: Spaces) -> None:
    files = {"user.py": "import ns.inner.mod as m\nfrom ns.inner import other\nV = m.V + other.V\n"}
    files |= {"ns/inner/mod.py": "V = 1\n", "ns/inner/other.py": "V = 2\n"}
    assert load(spaces, files, "user").V == 3
    assert getattr(sys.modules["ns"], "__file__", None) is None


def test_a_module_that_replaces_itself(spaces: Spaces) -> None:
    files = {"selfmade.py": "import sys\nclass Api:\n    X = 4\nsys.modules[__name__] = Api()\n"}
    source = FakeSource(files)
    space = connect(spaces, source)
    assert space.module(*source.ref("selfmade")).X == 4
    assert space.attribute("selfmade", 1, "X", source.digest("selfmade")) == 4


def test_a_source_that_does_not_match_its_digest_is_not_run(spaces: Spaces) -> None:
    class Liar(FakeSource):
        def contents(self, digests, magic):
            return dict.fromkeys(digests, (b"raise SystemExit", None))

    source = Liar({"honest.py": "X = 1\n"})
    with pytest.raises(OriginLost, match="module honest"):
        connect(spaces, source).module(*source.ref("honest"))


def test_prefetch_runs_nothing(spaces: Spaces) -> None:
    source = FakeSource({"a.py": "import b\nraise KeyError\n", "b.py": "X = 1\n"})
    space = connect(spaces, source)
    space.prefetch(["a"])
    assert "a" not in sys.modules
    source.lost = True
    assert space.module(*source.ref("b")).X == 1
    with pytest.raises(KeyError):
        space.module(*source.ref("a"))


def test_the_disk_has_what_another_space_fetched(spaces: Spaces) -> None:
    store = Store(None)
    source = FakeSource({"a.py": "import b\n", "b.py": "X = 1\n"})
    for origin in ("1" * 16, "2" * 16):
        with receiver(store=store) as made:
            assert connect(made, source, origin).module(*source.ref("a")).b.X == 1
    assert source.questions("contents") == [2]


def test_code_in_a_pseudo_module_imports_from_its_origin(spaces: Spaces) -> None:
    source = FakeSource({"helpers.py": "X = 7\n"})
    space = connect(spaces, source)
    main = space.pseudo("__main__")
    exec("def cell():\n    import helpers\n    return helpers.X\nclass C: pass\n", main.__dict__)
    assert main.cell() == 7
    assert main.__name__ == main.C.__module__ == "nb_3f2a9c.__main__"
    assert space.pseudo("__main__") is main is sys.modules["nb_3f2a9c.__main__"]
    shipped = spaces.shipped("nb_3f2a9c.__main__")
    assert shipped is not None
    assert (shipped.origin, shipped.node, shipped.module) == (space.origin, "nb@host", "__main__")
    assert inspect.getmodule(main.C) is main


def test_a_live_module_of_a_package_imports_its_neighbours(spaces: Spaces) -> None:
    source = FakeSource({"pkg/__init__.py": "", "pkg/mate.py": "X = 8\n"})
    space = connect(spaces, source)
    live = space.pseudo("pkg.edited")
    exec("def f():\n    from .mate import X\n    return X\n", live.__dict__)
    assert live.f() == 8


def test_shipped_tells_where_a_module_came_from(spaces: Spaces) -> None:
    source = FakeSource({"helpers.py": "import spaces_test_absent_or_not\n", "spaces_test_absent_or_not.py": ""})
    space = connect(spaces, source)
    space.module(*source.ref("helpers"))
    shipped = spaces.shipped("helpers")
    assert shipped == (space.origin, "nb@host", "helpers", 1, source.digest("helpers"))
    assert spaces.shipped("json") is None
    assert spaces.shipped("nothing") is None


def test_labels_are_identifiers_of_their_own(spaces: Spaces) -> None:
    labels = [
        spaces.of(origin, node).label
        for node, origin in [
            ("my-nb.1@host", "3f2a9c00" * 2),
            ("my-nb.1@other", "3f2a9c11" * 2),
            ("7of9@host", "00" * 8),
            ("größe", "11" * 8),
        ]
    ]
    assert labels == ["my_nb_1_3f2a9c", "my_nb_1_3f2a9c1", "_7of9_000000", "gr__e_111111"]
    assert all(label.isidentifier() for label in labels)
