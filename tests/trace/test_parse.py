"""Reading text outputs back into objects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.trace.parse import parse_text

SCALARS = st.one_of(
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.none(),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab c", max_size=5), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc '\"", max_size=6), VALUES, min_size=1))
def test_printed_objects_come_back(value: dict[str, Any]) -> None:
    """`str(obj)` is what many tools return."""
    parsed = parse_text(repr(value))
    assert parsed.form == "object"
    assert parsed.value == value


WORDS = st.lists(
    st.sampled_from(["Hi", "there", "it's", '"so"', "good:", "yes", "-", "no", "5", "a@b.c"]),
    min_size=1,
)
PROSE = st.lists(WORDS.map(" ".join), min_size=1, max_size=4).map("\n".join)


@given(st.lists(st.fixed_dictionaries({"body": PROSE, "id": st.integers(0, 99)}), min_size=1))
def test_block_yaml_comes_back(records: list[dict[str, Any]]) -> None:
    """As `yaml.safe_dump` writes it, folded lines and quotes included."""
    parsed = parse_text(yaml.safe_dump(records))
    assert parsed.form == "lines"
    plain = [{"body": " ".join(r["body"].split()), "id": str(r["id"])} for r in records]
    assert [{**r, "body": " ".join(r["body"].split())} for r in parsed.value] == plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(1, 'a')", [1, "a"]),
        ("Mail(to='a@b.c', body=\"x\")", {"to": "a@b.c", "body": "x"}),
        ("{'a': datetime.date(2024, 5, 1)}", {"a": [2024, 5, 1]}),
        ('{"a": 1, "a": 2}', {"a": [1, 2]}),
        ("- general\n- random", ["general", "random"]),
        ("a: 1\nlist:\n- x\n- y\nb: 2", {"a": "1", "list": ["x", "y"], "b": "2"}),
        ("a: |\n  one\n  two\nb: null", {"a": "one\ntwo", "b": None}),
        ("<<[1, 2]>>", [1, 2]),
        ("1810.0", 1810.0),
    ],
)
def test_forms(text: str, value: Any) -> None:
    assert parse_text(text).value == value


@pytest.mark.parametrize(
    "text",
    [
        "Dear Bob,\nplease pay: now.",
        "Note: pay the bill",
        "a: 1\na: 2",
        "a: 'never closed\nb: 1",
        "{'a': 1",
        "[" * 5000,
        "__import__('os').system('x')",
        '"just text"',
        "",
    ],
)
def test_what_is_no_object_stays_text(text: str) -> None:
    parsed = parse_text(text)
    assert (parsed.form, parsed.value) == ("text", text)


@given(st.text("ab:'\"-{}[](),|>\\\n #=1 ", max_size=80))
def test_no_text_raises(text: str) -> None:
    parse_text(text)
