"""Metrics: counted once each, percentiles near the truth, and a text that Prometheus reads."""

from __future__ import annotations

import itertools
import math
import random
import re

import pytest

from beampy.pool.metrics import BOUNDS, OUTCOMES, Gauges, Histogram, Metrics


def near(value: float | None, truth: float) -> bool:
    """Within one bucket."""
    return value is not None and truth / math.sqrt(2) <= value <= truth * math.sqrt(2)


# --- histograms


def test_buckets_grow_evenly_and_reach_far():
    assert all(math.isclose(b / a, math.sqrt(2)) for a, b in itertools.pairwise(BOUNDS))
    assert BOUNDS[0] == 1e-5
    assert BOUNDS[-1] > 80_000


def test_nothing_has_no_percentiles():
    assert Histogram().summary() == {"count": 0, "mean": None, "p50": None, "p90": None, "p99": None}


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_right_to_within_a_bucket(seed):
    rng = random.Random(seed)
    times, seen = Histogram(), sorted(rng.lognormvariate(-4, 2) for _ in range(2000))
    for seconds in rng.sample(seen, len(seen)):
        times.add(seconds)
    for percent in (1, 50, 90, 99, 99.9):
        assert near(times.percentile(percent), seen[math.ceil(len(seen) * percent / 100) - 1])
    assert times.count == 2000
    assert math.isclose(times.total, sum(seen))


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.0, 0, 1e-5), (1e9, 8e4, 2e5), (-1.0, 0, 1e-5)])
def test_times_beyond_the_buckets_are_in_the_last_ones(seconds, least, most):
    times = Histogram()
    times.add(seconds)
    for percent in (0, 50, 100):
        assert least <= (times.percentile(percent) or 0) <= most


def test_a_percentile_of_equal_times_is_their_bucket():
    times = Histogram()
    for _ in range(10):
        times.add(0.1)
    assert all(near(times.percentile(percent), 0.1) for percent in (1, 50, 100))


# --- a pool


def test_calls_are_counted_by_outcome():
    metrics = Metrics("p")
    for outcome in (*OUTCOMES, "ok"):
        metrics.started(0.1)
        metrics.finished(outcome, 2.0)
    metrics.dropped("timeout")
    now = metrics.snapshot(0.0)
    assert now["calls"] == {"ok": 2, "error": 1, "timeout": 2, "cancelled": 1, "lost": 1, "rejected": 1, "total": 8}
    assert now["queue_seconds"]["count"] == now["run_seconds"]["count"] == 7
    assert near(now["run_seconds"]["p50"], 2.0)
    assert now["busy_seconds"] == 14.0


def test_an_attempt_that_is_followed_by_another_is_a_retry_and_no_call():
    metrics = Metrics()
    metrics.started(0.0)
    metrics.retried(1.5)
    metrics.started(0.0)
    metrics.finished("ok", 0.5)
    now = metrics.snapshot(0.0)
    assert (now["retries"], now["calls"]["total"], now["busy_seconds"]) == (1, 1, 2.0)


def test_how_it_is_now_the_pool_says():
    gauges = Gauges(waiting=1, running=2, runners=3, booting=4, zombies=5, slots=6)
    now = Metrics(gauges=lambda: gauges).snapshot(0.0)
    assert {name: now[name] for name in gauges._fields[:-1]} == dict(zip(gauges._fields[:-1], gauges, strict=False))


def test_utilisation_is_of_all_slots_that_there_were():
    running = Gauges()
    metrics = Metrics(gauges=lambda: running)
    assert metrics.snapshot(0.0)["utilisation"] is None
    metrics.up("a", slots=4, booted=0.5, price=0.0, now=100.0)
    metrics.finished("ok", 10.0)
    assert metrics.snapshot(110.0)["utilisation"] == 0.25
    running = Gauges(running_seconds=10.0)
    assert metrics.snapshot(110.0)["utilisation"] == 0.5
    metrics.down("a", 110.0)
    metrics.down("a", 999.0)
    now = metrics.snapshot(1000.0)
    assert (now["slot_seconds"], now["runner_seconds"], now["utilisation"]) == (40.0, 10.0, 0.5)


def test_cost_is_price_times_hours_also_of_runners_that_run():
    metrics = Metrics()
    metrics.up("a", 1, 0.5, 2.0, now=0.0)
    metrics.up("b", 1, 0.5, 1.0, now=1800.0)
    metrics.down("a", 3600.0, lost=True)
    now = metrics.snapshot(3600.0)
    assert (now["cost"], now["losses"]) == (2.5, 1)
    metrics.up("c", 1, 0.5, None, now=3600.0)
    assert metrics.snapshot(3600.0)["cost"] is None
    assert "cost_total" not in metrics.prometheus(3600.0)


# --- Prometheus

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-z]+="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)+)\} (\S+)')


def parsed(text: str) -> dict[tuple[str, str], float]:
    """The samples of a text in Prometheus' format, each of a metric whose type was told before it."""
    types: dict[str, str] = {}
    samples: dict[tuple[str, str], float] = {}
    for row in text.splitlines():
        if row.startswith("# TYPE "):
            _, _, name, kind = row.split()
            assert name not in types
            types[name] = kind
        elif not row.startswith("# HELP "):
            match = SAMPLE.fullmatch(row)
            assert match, row
            name, labels, value = match.groups()
            known = types.get(name) or types.get(re.sub("_(bucket|sum|count)$", "", name))
            assert known in ("counter", "gauge", "histogram")
            assert (known == "counter") == name.endswith("_total")
            samples[name, labels] = float(value)
    assert text.endswith("\n")
    return samples


def test_the_text_for_prometheus():
    metrics = Metrics("p", lambda: Gauges(waiting=7, running=1))
    for seconds in (0.5e-5, 0.1, 0.1, 3.0, 1e9):
        metrics.started(seconds)
    metrics.finished("ok", 0.5)
    metrics.up("a", 2, 0.2, 0.0, 0.0)
    metrics.boots = 3
    samples = parsed(metrics.prometheus(10.0))
    assert samples["beampy_pool_calls_total", 'pool="p",outcome="ok"'] == 1
    assert samples["beampy_pool_calls_total", 'pool="p",outcome="lost"'] == 0
    assert samples["beampy_pool_waiting", 'pool="p"'] == 7
    assert samples["beampy_pool_boots_total", 'pool="p"'] == 3
    assert samples["beampy_pool_runner_seconds_total", 'pool="p"'] == 10
    buckets = [
        (float(labels.split('le="')[1].rstrip('"')), count)
        for (name, labels), count in samples.items()
        if name == "beampy_pool_queue_seconds_bucket"
    ]
    assert buckets == sorted(buckets)
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)
    for bound, count in buckets:
        if not 0.09 < bound < 0.11:
            assert count == sum(seconds <= bound for seconds in (0.5e-5, 0.1, 0.1, 3.0, 1e9))
    assert buckets[-1] == (math.inf, 5)
    assert samples["beampy_pool_queue_seconds_count", 'pool="p"'] == 5


def test_names_are_escaped():
    text = Metrics('a"b\\c\nd').prometheus(0.0)
    assert 'pool="a\\"b\\\\c\\nd"' in text
    parsed(text)
