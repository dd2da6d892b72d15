"""The pytest plugin, run by pytest on small projects: what it does when asked, and only then."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

TESTS = """
    import asyncio
    import pytest

    def kind():
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]

    async def test_everywhere():
        await asyncio.sleep(0)

    @pytest.mark.loops("sim")
    async def test_a_day():
        await asyncio.sleep(86400)
        assert kind() == "beampy"

    @pytest.mark.loops("asyncio", "sim")
    async def test_twice():
        assert kind() in ("asyncio", "beampy")

    def test_sync():
        pass
"""

FAILING = """
    import asyncio
    import pytest

    @pytest.mark.loops("sim")
    async def test_chance(beampy_seed):
        loop = asyncio.get_running_loop()
        assert loop.seed == beampy_seed
        await asyncio.sleep(5)
        assert loop.seed != 2, f"drew {loop.rng.random()}"
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Runs pytest in a process of its own, on a project with these tests and this ini."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", _root())

    def runner(tests: str, ini: str = "", *args: str) -> pytest.RunResult:
        pytester.makeini(
            "[pytest]\nasyncio_mode = auto\nfilterwarnings = error\n"
            "asyncio_default_fixture_loop_scope = function\n" + ini
        )
        pytester.makepyfile(tests)
        # Under its entry point's name it may be installed or not: take it by its path, once.
        plugins = ("-p", "no:beampy", "-p", "beampy.testing.plugin")
        return pytester.runpytest_subprocess(*plugins, "--strict-markers", "-v", *args, timeout=50)

    return runner


def _root() -> str:
    return __file__.rpartition("/tests/")[0]


def names(result: pytest.RunResult) -> list[str]:
    """The ids of the tests that passed."""
    return re.findall(r"::(\S+) PASSED", result.stdout.str())


def test_it_does_nothing_unless_asked(project) -> None:
    result = project(
        """
        import sys

        async def test_async():
            pass

        def test_sync(request):
            manager = request.config.pluginmanager
            assert manager.has_plugin("beampy.testing.plugin")
            assert not manager.has_plugin("beampy-loops")
            assert not manager.has_plugin("beampy-leaks")
            assert not request.config.hook.pytest_asyncio_loop_factories.get_hookimpls()
            assert "uvloop" not in sys.modules
            ours = {name for name in sys.modules if name.startswith("beampy.")}
            assert ours <= {"beampy.testing", "beampy.testing.plugin", "beampy.errors", "beampy.version"}
            assert not [name for name in request.fixturenames if "beampy" in name]
        """
    )
    result.assert_outcomes(passed=2)
    assert names(result) == ["test_async", "test_sync"]
    assert "beampy: " not in result.stdout.str()


def test_each_asyncio_test_runs_on_each_loop(project) -> None:
    result = project(TESTS, "beampy_loops = asyncio uvloop sim\n")
    assert names(result) == [
        "test_everywhere[asyncio]",
        "test_everywhere[uvloop]",
        "test_everywhere[sim]",
        "test_a_day",
        "test_twice[asyncio]",
        "test_twice[sim]",
        "test_sync",
    ]
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["beampy: loops asyncio, uvloop, sim; seed 0"])


def test_a_marker_alone_is_enough(project) -> None:
    result = project(TESTS)
    assert sorted(names(result)) == [
        "test_a_day",
        "test_everywhere",
        "test_sync",
        "test_twice[asyncio]",
        "test_twice[sim]",
    ]


def test_many_seeds(project) -> None:
    result = project(TESTS, "beampy_loops = asyncio sim\n", "--beampy-seeds=3", "--beampy-seed=4")
    assert names(result) == [
        "test_everywhere[asyncio]",
        "test_everywhere[sim-4]",
        "test_everywhere[sim-5]",
        "test_everywhere[sim-6]",
        "test_a_day[sim-4]",
        "test_a_day[sim-5]",
        "test_a_day[sim-6]",
        "test_twice[asyncio]",
        "test_twice[sim-4]",
        "test_twice[sim-5]",
        "test_twice[sim-6]",
        "test_sync",
    ]
    result.stdout.fnmatch_lines(["beampy: loops asyncio, sim; seed 4 to 6"])


@pytest.mark.parametrize("options", [("--beampy-seeds=4",), ("--beampy-seed=2",)])
def test_a_failure_says_how_to_replay_it(
    project, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    result = project(FAILING, "", *options)
    result.assert_outcomes(failed=1, passed=3 if "seeds" in options[0] else 0)
    said = re.search(r"seed 2, virtual time 5(\.0)?, fingerprint \w+", result.stdout.str())
    command = re.search(r"replay: PYTHONHASHSEED=0 python (.*)", result.stdout.str())
    drew = re.search(r"drew [\d.]+", result.stdout.str())
    assert said
    assert command
    assert drew
    assert "random" not in result.stdout.str().partition("beampy simulator")[2]

    plugins = ["-p", "no:beampy", "-p", "beampy.testing.plugin"]
    again = subprocess.run(
        [sys.executable, *shlex.split(command[1]), *plugins],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert said[0] in again.stdout
    assert drew[0] in again.stdout
    assert "1 failed" in again.stdout
    assert "passed" not in again.stdout


def test_a_failure_under_random_hashes_says_so(project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    result = project(FAILING, "", "--beampy-seed=2", "-o", "beampy_loops=asyncio sim")
    result.stdout.fnmatch_lines(
        [
            "replay: python -m pytest *::test_chance --beampy-seed=2 -o 'beampy_loops=asyncio sim'",
            "string hashes were random: *",
        ]
    )


def test_failures_elsewhere_have_no_seed(project) -> None:
    result = project(
        """
        async def test_fails():
            assert False
        """,
        "beampy_loops = asyncio\n",
    )
    result.assert_outcomes(failed=1)
    assert "replay" not in result.stdout.str()


def test_a_loop_that_is_not_installed_skips(project) -> None:
    result = project(
        """
        async def test_it():
            pass
        """,
        "beampy_loops = asyncio nowhere_to_be_found\n",
    )
    result.assert_outcomes(passed=1, skipped=1)


def test_what_a_loop_still_has_open_is_an_error_and_no_hang(project) -> None:
    """Also in a test that failed: nothing would end that, as pytest-timeout looks at a test no more then."""
    result = project(
        """
        import asyncio
        import pytest

        @pytest.mark.parametrize("fails", [False, True])
        async def test_it(fails):
            asyncio.get_running_loop().kept = [
                await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0) for _ in range(2)
            ]
            assert not fails
        """,
        "beampy_loops = uvloop\n",
    )
    result.assert_outcomes(passed=1, failed=1, errors=2)
    assert "unclosed resource <TCPServer" in result.stdout.str()


def test_mistakes_are_usage_errors(project) -> None:
    result = project(
        """
        import pytest

        @pytest.mark.loops
        async def test_it():
            pass
        """
    )
    assert "loops takes names" in result.stdout.str() + result.stderr.str()
    result = project(TESTS, "beampy_loops = sim\n", "--beampy-seeds=0")
    assert "at least 1" in result.stdout.str() + result.stderr.str()
    result = project(TESTS, "beampy_loops = sim\n", "-p", "no:asyncio")
    assert "need pytest-asyncio 1.5" in result.stdout.str() + result.stderr.str()


def test_the_plugin_imports_next_to_nothing() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules)\n"
        "import beampy.testing.plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=_root(), capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert not loaded & {"asyncio", "uvloop", "beampy.core", "beampy.testing.simloop"}
