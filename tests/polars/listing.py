"""Writes passing.txt: which of polars' own tests pass on remote frames.

Rule: a test is listed when it passed in every run that is given, with at least one operation that the other node
counted; with no frame that polars itself computed in the process of the tests, as the remote frame is to do what the
test is about; with no error of beampy's, which a test could take for polars'; and in less than SLOW. Where this holds
for all parameters of a test, its bare name stands for them.

    python -m pytest -c tests/polars/suite.ini --rootdir … -p remote_polars.plugin --outcomes once.jsonl tests/unit/…
    python tests/polars/listing.py once.jsonl twice.jsonl

Place: a script for whoever makes the list anew, for another polars. test_polars_suite.py reads what it writes.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import fetch

LIST = Path(__file__).resolve().parent / "passing.txt"
SLOW = 1.0  # seconds; what takes longer draws hundreds of examples, and thirty such tests would double the time
# Files whose tests are not about what a remote frame does, though it does something in them; and tests that polars does
# not always pass by itself.
LEFT_OUT = {
    "tests/unit/operations/map/test_inefficient_map_warning.py",  # about warnings of expressions, which are made here
    "tests/unit/dataframe/test_serde.py",  # about deserialize, which makes a frame here
    "tests/unit/lazyframe/test_serde.py",
    # An order of rows that polars does not promise any more since 2.0, and that changes with its threads.
    "tests/unit/operations/test_join.py::test_join_preserve_order_left",
}
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")  # in an id: another one in each run

HEAD = """\
# polars' own tests that pass on remote frames, by file. Written by listing.py; test_polars_suite.py runs them.
# polars {polars}, tests of {tests}. A name without [parameters] stands for all of its parameters.
"""


def outcomes(path: str) -> dict[str, list[dict[str, Any]]]:
    """What a run said of each test, by id."""
    found = defaultdict(list)
    for line in Path(path).read_text().splitlines():
        outcome = json.loads(line)
        found[outcome["id"]].append(outcome)
    return found


def is_good(said: list[dict[str, Any]]) -> bool:
    """Whether what one run said of one test lets it be listed."""
    return all(
        each["outcome"] == "passed"
        and each["operations"]
        and not each["here"]
        and not each["refused"]
        and each["seconds"] < SLOW
        for each in said
    )


def listed(runs: list[dict[str, list[dict[str, Any]]]]) -> dict[str, list[str]]:
    """Names by file."""
    every = {key for run in runs for key in run}
    good = {key for key in every if all(key in run and is_good(run[key]) for run in runs) and not ADDRESS.search(key)}
    by_name = defaultdict(set)
    for key in every:
        by_name[key.partition("[")[0]].add(key)
    found = defaultdict(list)
    for name, keys in by_name.items():
        file, _, _ = name.partition("::")
        if file in LEFT_OUT or name in LEFT_OUT:
            continue
        for key in [name] if keys <= good else sorted(keys & good):
            found[file].append(key.removeprefix(file + "::"))
    return {file: sorted(found[file]) for file in sorted(found)}


def main() -> None:
    runs = [outcomes(path) for path in sys.argv[1:]]
    here = fetch.brought()
    assert runs, "which outcomes?"
    assert here is not None, "make polars-tests"
    lines = [HEAD.format(polars=fetch.installed(), tests=here[1])]
    for file, names in listed(runs).items():
        lines += [f"\n{file}\n", *(f"    {name}\n" for name in names)]
    LIST.write_text("".join(lines))


if __name__ == "__main__":
    main()
