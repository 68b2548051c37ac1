"""The shared cache: bounded in bytes, one computation per key, nothing mixed up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.tasks import Cache, nbytes


def test_it_is_bounded_in_bytes_and_forgets_the_oldest() -> None:
    cache = Cache(1000)
    for name in "abc":
        cache.get((name,), lambda: b"x" * 400)
    assert (len(cache), cache.used) == (2, 800)
    calls = []
    cache.get(("c",), lambda: calls.append("c") or b"")
    cache.get(("a",), lambda: calls.append("a") or b"y" * 400)
    assert calls == ["a"]


def test_use_keeps_a_value() -> None:
    cache = Cache(1000)
    cache.get(("a",), lambda: b"x" * 400)
    cache.get(("b",), lambda: b"x" * 400)
    cache.get(("a",), lambda: pytest.fail("a was kept"))
    cache.get(("c",), lambda: b"x" * 400)
    cache.get(("a",), lambda: pytest.fail("a was used last"))


def test_a_value_larger_than_the_cache_is_handed_out_and_not_kept() -> None:
    cache = Cache(10)
    assert cache.get(("a",), lambda: b"x" * 11) == b"x" * 11
    assert (len(cache), cache.used) == (0, 0)


def test_two_at_once_compute_once() -> None:
    cache, calls, go = Cache(1000), [], threading.Event()

    def slow() -> str:
        calls.append(1)
        go.wait(5)
        return "value"

    with ThreadPoolExecutor(8) as people:
        asked = [people.submit(cache.get, ("k",), slow) for _ in range(8)]
        while not cache._running or len(cache._running["k",]._waiting) < 8:
            time.sleep(0.01)
        go.set()
        assert [one.result(5) for one in asked] == ["value"] * 8
    assert len(calls) == 1
    assert cache._running == {}


def test_a_failure_is_raised_and_not_kept() -> None:
    cache = Cache(1000)

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.get(("k",), fail)
    assert cache.get(("k",), lambda: "yes") == "yes"


def test_a_clip_that_is_taken_away_takes_its_results_along() -> None:
    cache = Cache(1000)
    cache.get(("window", "clip-1", 0), lambda: b"xx")
    cache.get(("map", ("window", "clip-1", 0), "conv5b"), lambda: b"xx")
    cache.get(("window", "clip-2", 0), lambda: b"xx")
    cache.drop("clip-1")
    assert (len(cache), cache.used) == (1, 2)
    cache.clear()
    assert (len(cache), cache.used) == (0, 0)

    def taken_away_meanwhile() -> bytes:
        cache.drop("clip-3")
        return b"xx"

    assert cache.get(("window", "clip-3", 0), taken_away_meanwhile) == b"xx"
    assert len(cache) == 0


def test_many_threads_keep_the_books_straight() -> None:
    cache = Cache(5000)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(200):
            key = int(rng.integers(40))
            value = cache.get((key,), lambda key=key: bytes([key]) * (100 + key))
            assert value == bytes([key]) * (100 + key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.used <= 5000
    assert cache.used == sum(size for _, size in cache._kept.values())


def test_sizes_count_what_is_large() -> None:
    assert nbytes(np.zeros((3, 4), np.float32)) == 48
    assert nbytes({"a": b"12345", "b": [np.zeros(2)]}) == 5 + 16 + 64 + 64
    assert nbytes(7) == 64


def test_waiting_does_not_hold_up_other_keys() -> None:
    cache, go = Cache(1000), threading.Event()
    slow = threading.Thread(target=cache.get, args=(("slow",), lambda: go.wait(5)))
    slow.start()
    began = time.monotonic()
    assert cache.get(("fast",), lambda: 1) == 1
    assert time.monotonic() - began < 2
    go.set()
    slow.join()
