"""The fuzz target on its corpus, and on some thousands of mutations of it that are always the same."""

from __future__ import annotations

import random
import struct
import tracemalloc

import pytest

from beampy.wire.frame import BEGIN, BEGUN, DATA, FRAGMENT, MAX_FRAGMENT, MAX_STREAMS, addressed
from tests.fuzz.channel import CORPUS, MAX_HELD, MAX_MESSAGE, corpus, feed, mutate, run, seeds

MUTATIONS = 8000


def test_the_corpus_is_what_the_protocol_makes():
    written = {path.stem: path.read_bytes() for path in CORPUS.glob("*.bin")}
    assert written == seeds(), "the protocol has changed: python -m tests.fuzz.channel --write"


@pytest.mark.parametrize("name", seeds())
def test_the_corpus_is_taken_in(name):
    data = (CORPUS / f"{name}.bin").read_bytes()
    assert run(data) == (name == "credit-unasked")


@pytest.mark.parametrize("seed", range(4))
def test_mutations_are_decoded_or_refused(seed):
    rng, known = random.Random(seed), corpus()
    refused = 0
    for _ in range(MUTATIONS // 4):
        data = mutate(rng, rng.choice(known), known)
        try:
            refused += run(data)
        except Exception:
            pytest.fail(f"python -m tests.fuzz.channel: {data.hex()}")
    assert 0 < refused < MUTATIONS // 4


def test_noise_is_refused_at_once():
    rng = random.Random(5)
    for _ in range(300):
        data = rng.randbytes(rng.randrange(5, 300))
        calls, refused = feed(data, [7])
        assert refused or len(data) < 30
        assert not calls


def test_memory_is_bounded_whatever_a_peer_announces():
    """As many messages as may be open, each with as many buffers as there may be, begun and never finished."""
    share = MAX_MESSAGE // MAX_STREAMS
    header = addressed(1, 0, 1, 2, 3)[4:]
    data = b""
    for stream in range(1, MAX_STREAMS + 1):
        data += BEGUN.pack(BEGUN.size - 4 + len(header), BEGIN, stream, 0xFFFF, 0, share) + header
        table = struct.pack(">Q", share) + bytes(8 * 0xFFFE)
        for at in range(0, len(table), MAX_FRAGMENT):
            piece = table[at : at + MAX_FRAGMENT]
            data += FRAGMENT.pack(5 + len(piece), DATA, stream) + piece
    tracemalloc.start()
    try:
        calls, refused = feed(data, [100_000])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (calls, refused) == ([], False)
    assert peak < 2 * MAX_HELD
