"""GovernanceCache: a hit is exactly what was computed, and whatever changed misses once."""

from __future__ import annotations

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

from gatling_guard.encoders.cache import GovernanceCache, LruCache, content_key
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.governance import GovernanceEncoder
from gatling_guard.errors import InputError
from gatling_guard.policy import load_policy

POLICY: dict[str, Any] = {"roles": {"analyst": {"tools": ["read_file"]}}}
ASKED = "Send the report to Ann."


@pytest.fixture
def cache() -> GovernanceCache[torch.Tensor]:
    torch.manual_seed(0)
    config = EncoderConfig.named("small", hidden_dim=16, heads=2, latent_dim=32)
    return GovernanceCache(GovernanceEncoder(config))


def counts(cache: GovernanceCache[Any]) -> tuple[int, int, int, int]:
    return (
        *(cache.vectors.hits, cache.vectors.misses),
        *(cache.summaries.hits, cache.summaries.misses),
    )


def test_a_hit_is_what_the_encoder_says(cache: GovernanceCache[Any]) -> None:
    """R31."""
    want = cache.encoder.encode_batch([(POLICY, "analyst", ASKED)]).detach().numpy()
    first = cache(POLICY, "analyst", ASKED)
    assert np.array_equal(first, want)
    assert cache(copy.deepcopy(POLICY), "analyst", ASKED) is first
    assert counts(cache) == (1, 1, 0, 1)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1.0


def test_a_session_pays_only_for_its_context(cache: GovernanceCache[Any]) -> None:
    """Design 4: the policy is encoded once per role."""
    for context in (ASKED, "Another.", None, {"instruction": ASKED, "tenant": "acme"}):
        cache(POLICY, "analyst", context)
    assert counts(cache) == (0, 4, 3, 1)
    cache(POLICY, "admin", ASKED)
    assert counts(cache) == (0, 5, 3, 2)
    found = cache.counterfactuals(POLICY, "admin", ["One.", "Two."])
    assert counts(cache) == (0, 5, 4, 2)
    want = cache.encoder.counterfactuals(POLICY, "admin", ["One.", "Two."])
    assert np.allclose(found, want.detach().numpy(), atol=1e-6)
    assert cache.counterfactuals(POLICY, "admin", []).shape == (0, 32)


def test_a_changed_policy_misses_exactly_once(cache: GovernanceCache[Any]) -> None:
    """R31: hot change, and back."""
    old, new = load_policy(POLICY), load_policy({"roles": {"analyst": {"tools": ["*"]}}})
    before = cache(old, "analyst", ASKED)
    after = cache(new, "analyst", ASKED)
    assert not np.array_equal(before, after)
    for _ in range(3):
        assert cache(new, "analyst", ASKED) is after
        assert cache(load_policy(POLICY), "analyst", ASKED) is before
    assert cache.vectors.misses == cache.summaries.misses == 2


def test_a_mutated_dict_misses(cache: GovernanceCache[Any]) -> None:
    """R31: its owner may change it at any depth."""
    policy = copy.deepcopy(POLICY)
    context = {"instruction": ASKED, "more": {"n": [1]}}
    before = cache(policy, "analyst", context)
    policy["roles"]["analyst"]["tools"].append("delete_user")
    changed = cache(policy, "analyst", context)
    assert not np.array_equal(before, changed)
    context["more"]["n"].append(2)  # type: ignore[index]
    assert not np.array_equal(changed, cache(policy, "analyst", context))
    assert counts(cache)[:2] == (0, 3)


def test_a_changed_file_misses(cache: GovernanceCache[Any], tmp_path: Path) -> None:
    """R31: a path stands for what is in the file now."""
    file = tmp_path / "policy.yaml"
    for source in (file, str(file)):
        file.write_text("deny: [a]\n")
        before = cache(source, None, None)
        assert cache(source, None, None) is before
        file.write_text("deny: [b]\n")
        assert not np.array_equal(before, cache(source, None, None))
    assert cache.vectors.misses == 2


def test_a_file_that_changes_meanwhile_does_not_poison_the_cache(
    cache: GovernanceCache[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was hashed is what is encoded: else one policy's z_g would be another's for good."""
    file = tmp_path / "policy.yaml"
    file.write_text("deny: [a]\n")
    summary = cache.encoder.summary

    def late(*given: Any) -> Any:
        file.write_text("allow: [a]\n")
        return summary(*given)

    monkeypatch.setattr(cache.encoder, "summary", late)
    found = cache(file, None, None)
    want = cache.encoder.encode_batch([({"deny": ["a"]}, None, None)]).detach().numpy()
    assert np.array_equal(found, want)


def test_a_changed_model_misses(cache: GovernanceCache[Any]) -> None:
    """R31: the model's id is part of the key."""
    before = cache(POLICY, "analyst", ASKED)
    with torch.no_grad():
        cache.encoder.context.z_down.bias += 1.0  # type: ignore[attr-defined]
    assert np.allclose(cache(POLICY, "analyst", ASKED), before + 1.0, atol=1e-5)


def test_keys_of_different_content_differ() -> None:
    """R31: no two of these may share an entry."""
    parts: list[tuple[Any, Any, Any]] = [
        (None, None, None),
        ("standard", None, None),
        (load_policy("standard"), None, None),
        ({}, None, None),
        ({"a": 1}, None, None),
        ({"a": 1.0}, None, None),
        ({"a": True}, None, None),
        ({"a": "1"}, None, None),
        ({True: 1}, None, None),
        ({"true": 1}, None, None),
        ({"b": {None: 1}}, None, None),
        ({"b": {"null": 1}}, None, None),
        ({"a": [1, 2]}, None, None),
        ({"a": [2, 1]}, None, None),
        ({"a": None}, None, None),
        ("a: 1\n", None, None),
        (None, "x", None),
        (None, None, "x"),
        (None, "xnone", None),
        (None, "none", "x"),
        (None, "x", "ynone"),
        (None, "xtext y", None),
        (None, None, {"instruction": "x"}),
    ]
    keys = [content_key("m", *part) for part in parts]
    assert len(set(keys)) == len(keys)
    assert content_key("n", None, None) != keys[0]
    assert content_key("m", {"b": 1, "a": [2]}, None) == content_key("m", {"a": (2,), "b": 1}, None)
    proxy = MappingProxyType({"a": 1})
    assert content_key("m", proxy, None) == content_key("m", {"a": 1}, None)


def test_bad_input_is_an_error_and_not_kept(cache: GovernanceCache[Any]) -> None:
    cycle: dict[str, Any] = {}
    cycle["a"] = cycle
    for bad in ({"a": object()}, cycle, [1], 3):
        with pytest.raises(InputError):
            cache(bad, "analyst", ASKED)  # type: ignore[arg-type]
        with pytest.raises(InputError):
            cache(POLICY, "analyst", bad)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        cache("a: [\n", "analyst", ASKED)
    assert len(cache.vectors) == 0
    assert cache(POLICY, "analyst", ASKED).shape == (1, 32)


def test_warm_call_of_a_large_policy() -> None:
    """R31: 0.1 ms for 500 entries; a policy keeps its digest, and its text is not hashed again."""
    policy = load_policy({"tools": {f"tool_{i}": {"max_calls": i} for i in range(500)}})

    class Still(GovernanceEncoder):
        def summary(self, *_: Any) -> torch.Tensor:
            return torch.zeros(1, 8, 16)

    cache = GovernanceCache(Still(EncoderConfig.named("small", hidden_dim=16, heads=2)))
    cache(policy, "analyst", ASKED)
    times = []
    for _ in range(50):
        start = time.thread_time()
        cache(policy, "analyst", ASKED)
        times.append(time.thread_time() - start)
    assert min(times) < 1e-4


def test_lru_is_bounded_and_drops_the_oldest() -> None:
    kept: LruCache[int] = LruCache(2)
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda: 1)
    assert (len(kept), kept.hits, kept.misses) == (2, 1, 3)
    kept.get("a", lambda: 1)
    kept.get("b", lambda: 1)
    assert (kept.hits, kept.misses) == (2, 4)
    kept.clear()
    assert len(kept) == 0


def test_threads_compute_once_and_an_error_is_not_kept() -> None:
    kept: LruCache[int] = LruCache(4)
    gate, calls = threading.Event(), []

    def slow() -> int:
        calls.append(1)
        gate.wait(5)
        return 7

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(kept.get, "a", slow) for _ in range(4)]
        gate.set()
        assert [future.result(5) for future in found] == [7] * 4
    assert (len(calls), kept.hits, kept.misses) == (1, 3, 1)

    def fails() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept.get("b", fails)
    assert kept.get("b", lambda: 8) == 8


def test_threads_of_sessions(cache: GovernanceCache[Any]) -> None:
    """P9: bit-equal whoever asks."""
    policies = [{"deny": [f"tool_{i}"]} for i in range(6)]
    want = [cache(policy, "analyst", ASKED) for policy in policies]
    cache.clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: cache(policies[i % 6], "analyst", ASKED), range(60)))
    assert all(np.array_equal(found[i], want[i % 6]) for i in range(60))
    assert cache.vectors.misses == 12
