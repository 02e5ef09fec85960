"""R145: an entry is bounded, and what was decided outlives the bulk of the arguments."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.ledger import Ledger
from gatling_guard.ledger.entry import MAX_RECEIPT
from gatling_guard.ledger.fit import fitted
from gatling_guard.plan import canonical_json

_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=40), inner, max_size=30)
    ),
    max_leaves=60,
)


@given(st.dictionaries(st.text(max_size=300), _json, max_size=30), st.integers(50, 5000))
def test_a_body_is_never_larger_than_its_limit(body: dict[str, Any], limit: int) -> None:
    kept, text = fitted(body, limit)
    assert len(text) <= limit
    assert text == canonical_json(kept)
    if len(canonical_json(body)) <= limit:
        assert kept == body


def test_small_fields_stay_whole_beside_a_large_one() -> None:
    reasons = [f"reason {i}: {'why ' * 50}" for i in range(20)]
    body = {"action": "block", "reasons": reasons, "arguments": {"a": ["x" * 3000] * 40}}
    kept, text = fitted(body, 14_000)
    assert (kept["action"], kept["reasons"]) == ("block", reasons)
    assert "[cut: 3000 characters]" in text


def test_what_was_left_out_is_noted() -> None:
    kept, _ = fitted({"a": list(range(5000)), "b": {f"k{i}": i for i in range(900)}}, 1500)
    assert "items more]" in str(kept["a"])
    assert "fields more]" in str(kept["b"])
    assert fitted({"a": {"k" * 900: 1}}, 400)[0] == {"a": {"cut": "[cut: 1 fields more]"}}


def test_receipts_are_small_whatever_is_in_them() -> None:
    """A model can cause one with every call it makes; a note of the operator's own it cannot."""
    with Ledger() as ledger:
        body = {"arguments": {f"a{i}": ["\u00e9" * 4000] * 9 for i in range(9)}}
        for kind in ("decision", "error", "outcome", "hold"):
            entry = ledger.append(kind, run_id="r" * 9999, call_id="c" * 9999, body=body)
            assert len(json.dumps(entry.as_dict())) <= MAX_RECEIPT + 1000
        note = ledger.append("note", run_id="r", call_id=None, body={"a": ["x" * 4000] * 9})
        assert note.body == {"a": ["x" * 4000] * 9}
        assert ledger.verify() == 5


def test_a_secret_is_recognised_before_its_text_is_cut() -> None:
    secret = "postgresql://service:" + "Sup3rSecret!Horse9Battery" * 20 + "@evil.example/db"
    with Ledger(secret_patterns=[r"badge-\d+X"]) as ledger:
        texts = [f"{'x' * 1800} {secret}", f"{'x' * 1900} badge-{'7' * 3000}X"]
        body = {"reasons": texts, "bulk": ["y" * 2000] * 20}
        entry = ledger.append("decision", run_id="r", call_id="c", body=body)
        assert not [part for part in ("Sup3r", "777") if part in str(entry)]


def test_a_note_on_fields_left_out_can_be_cut_itself() -> None:
    body: dict[str, Any] = {"k" * 300: 1, **{str(i): "x" * 50 for i in range(20)}}
    for limit in (40, 60, 80, 200):
        assert len(fitted(body, limit)[1]) <= limit
