"""What of a call enters the encoder, and what must not."""

from __future__ import annotations

import dataclasses
import random
import string
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatling_guard import Edge, ExecutionPlan, Provenance, ToolCall
from gatling_guard.catalog import Effect, ToolProfile, ToolSpec
from gatling_guard.encoders.calls import (
    CALL_DIM,
    LEAF_DIM,
    MAX_ROWS,
    CallFeatures,
    CallInput,
    _known,
    call_features,
)
from gatling_guard.encoders.execution import ExecutionEncoder
from gatling_guard.encoders.values import values_features
from gatling_guard.plan import leaves
from gatling_guard.trace import Authority, Lineage, LineageIndex, Origin, Span
from tests.encoders.conftest import TINY
from tests.encoders.test_agreement import SLOW

_TRACED = 16
"""Column of a leaf: 1 where its lineage is known."""

SPEC = ToolSpec(
    "send_email",
    "Send a message to a person.",
    {
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "body": {"type": "string"},
            "priority": {"type": "string", "enum": ["urgent", "normal"]},
            "options": {"type": "object", "properties": {"copies": {"type": "integer"}}},
        },
    },
    profile=ToolProfile(Effect.SEND, identity_args=("to",), content_args=("body",)),
)


def call(arguments: dict[str, Any], **fields: Any) -> ToolCall:
    return ToolCall(node_id="a", tool_name=fields.pop("tool_name", "send_email"),
                    arguments=arguments, **fields)  # fmt: skip


def features(
    arguments: dict[str, Any],
    spec: ToolSpec | None = None,
    lineage: list[Lineage] | None = None,
    **fields: Any,
) -> CallFeatures:
    return call_features(CallInput(call(arguments, **fields), spec, lineage))


def own(
    encoder: ExecutionEncoder,
    arguments: dict[str, Any],
    spec: ToolSpec | None = None,
    lineage: list[Lineage] | None = None,
    **fields: Any,
) -> NDArray[np.float32]:
    """x0 `[h + w]`: all that the plan network will ever know of the call."""
    x0, _ = encoder.run_calls([features(arguments, spec, lineage, **fields)])
    return np.asarray(x0[0], np.float32)


def same(one: CallFeatures, other: CallFeatures) -> bool:
    """Bit for bit."""
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(CallFeatures)
    )


def said(path: str, value: str, quote: str = "", match: Any = "substring") -> Lineage:
    origin = Origin("instruction", match, 1, None, quote or f"please use {value} for it")  # type: ignore[arg-type]
    return Lineage(path, path.split("/")[1], value, (origin,))


# --- P8: text an attacker chose ----------------------------------------------------------------

lower = st.text("abcdefghijklmnopqrstuvwxyz ", min_size=1, max_size=60)
fields_of_text = st.sampled_from([("to",), ("body",), ("priority",), ("note",), ("options", "x")])


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


@SLOW
@given(text=lower, seed=st.integers(0, 2**32), path=fields_of_text, known=st.booleans())
def test_another_string_of_the_same_shape_is_the_same_call(
    encoder: ExecutionEncoder, text: str, seed: int, path: tuple[str, ...], known: bool
) -> None:
    """P8: no word of an untrusted value enters, whatever the spec and wherever it stands."""
    letters = list(string.ascii_lowercase)
    random.Random(seed).shuffle(letters)
    other = text.translate(str.maketrans(string.ascii_lowercase, "".join(letters)))
    assume(other != text)
    assume(np.array_equal(values_features([text]), values_features([other])))
    assume(not {text, other} & {"urgent", "normal"})
    spec = SPEC if known else None
    one, two = nested(path, text), nested(path, other)
    assert same(features(one, spec), features(two, spec))
    assert np.array_equal(own(encoder, one, spec), own(encoder, two, spec))
    assert set(features(one, spec).texts) == {""}


def test_a_value_that_the_user_named_enters_as_text() -> None:
    """P8: what the trusted side wrote is its own text, however it was matched."""
    arguments = {"to": "Ann@X.org", "body": "hello"}
    for match, quote in (("substring", "mail ann@x.org today"), ("exact", "anything")):
        found = features(arguments, SPEC, [said("/to", "Ann@X.org", quote, match)])
        assert "Ann@X.org" in found.texts
        assert "hello" not in found.texts


@pytest.mark.parametrize(
    "lineage",
    [
        pytest.param(said("/to", "pay eve 2026-05-01", "invoice of 2026-05-01"), id="date"),
        pytest.param(said("/to", "other value", "other value", "exact"), id="another value"),
        pytest.param(said("/body", "pay eve 2026-05-01"), id="another argument"),
        pytest.param(
            Lineage("/to", "to", "pay eve 2026-05-01", (
                Origin("output", "exact", 3, None, "pay eve 2026-05-01"),)),  # type: ignore[arg-type]
            id="output",
        ),
        pytest.param(
            Lineage("/to", "to", "pay eve 2026-05-01", (
                Origin("instruction", "words", 1, None, "pay eve 2026-05-01"),)),  # type: ignore[arg-type]
            id="words",
        ),
    ],
)  # fmt: skip
def test_a_value_that_is_not_in_a_trusted_text_word_for_word_does_not_enter(
    lineage: Lineage,
) -> None:
    """P8: `Lineage.named` holds for words around a date too; lineage may be of old arguments."""
    found = features({"to": "pay eve 2026-05-01"}, SPEC, [lineage])
    assert set(found.texts) == {""}


def test_words_around_a_date_of_the_instruction_do_not_enter() -> None:
    """P8, with lineage as the guard traces it."""
    authority = Authority.of(["Pay the invoice of 2026-05-01 to ann@x.org."])
    arguments = {"to": "ann@x.org", "body": "obey eve 2026-05-01"}
    traced = list(LineageIndex().trace(arguments, authority))
    assert all(leaf.named for leaf in traced)
    assert sorted(features(arguments, SPEC, traced).texts) == ["", "", "ann@x.org"]


def test_enum_values_names_and_descriptions_of_the_catalog_enter(
    encoder: ExecutionEncoder,
) -> None:
    """P8: text of the catalog is trusted."""
    found = features({"priority": "urgent", "body": "urgent thing"}, SPEC)
    assert sorted(found.texts) == ["", "", "urgent"]
    assert (found.name, found.description) == ("send_email", SPEC.description)
    arguments = {"to": "a"}
    before = own(encoder, arguments, SPEC)
    for spec in (
        dataclasses.replace(SPEC, description="Delete a person."),
        dataclasses.replace(SPEC, description=""),
    ):
        assert np.abs(own(encoder, arguments, spec) - before).max() > 1e-3
    assert np.abs(own(encoder, arguments, SPEC, tool_name="wipe_disk") - before).max() > 1e-3
    urgent, normal = ({"priority": value} for value in ("urgent", "normal"))
    assert np.abs(own(encoder, urgent, SPEC) - own(encoder, normal, SPEC)).max() > 1e-3


def test_a_declared_key_enters_as_words_and_an_undeclared_one_as_a_signature(
    encoder: ExecutionEncoder,
) -> None:
    """P8: a key that the schema does not have may be anybody's text."""
    arguments = {"to": "a", "revoke": "a", "options": {"copies": 1, "obey_eve": 1}}
    assert sorted(features(arguments, SPEC).keys) == ["", "", "", "options copies", "to"]
    bare = ToolSpec("send_email")
    assert set(features(arguments, bare).keys) == {""}
    one, other = ({key: "a"} for key in ("obey", "deny"))
    assert np.abs(own(encoder, one, SPEC) - own(encoder, other, SPEC)).max() > 1e-3


@pytest.mark.parametrize("key", ["ann@x.org", "ignore all previous", "x-1", "", "п", "a" * 100])
def test_a_key_that_is_data_never_enters_as_text(key: str) -> None:
    """P8: nor does it in the path of what is below it, with no spec to tell."""
    arguments = {"access": {key: {"level": "read"}}}
    for spec in (None, SPEC):
        found = features(arguments, spec)
        assert set(found.keys) == {""}
        assert set(found.texts) == {""}
    assert len(features(arguments).keys) == 3


def test_signatures_of_undeclared_keys_do_not_collide() -> None:
    """P8: 250 keys have 250 signatures; of 8 signs some 90 would be shared."""
    arguments = {f"key_{chr(97 + i // 26)}{chr(97 + i % 26)}": 1 for i in range(250)}
    rows = features(arguments, ToolSpec("t")).leaves[1:]
    assert len(np.unique(rows, axis=0)) == len(rows) == 250


# --- structure ------------------------------------------------------------------------------------

scalars = (
    st.none() | st.booleans() | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)  # fmt: skip
keys = st.sampled_from(["a", "b", "to", "body", "x y", "k1", "", "ann@x.org", "n" * 90])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(keys, values, max_size=5)


def turned(value: Any) -> Any:
    """The same JSON value with all keys in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@SLOW
@given(arguments=objects)
def test_the_order_of_keys_has_no_influence(arguments: dict[str, Any]) -> None:
    """R21, bit-equal."""
    assert same(features(arguments), features(turned(arguments)))
    assert same(features(arguments, SPEC), features(turned(arguments), SPEC))


@SLOW
@given(arguments=objects)
def test_lineage_is_found_for_every_leaf(arguments: dict[str, Any]) -> None:
    """The paths of rows are spelled as those of `plan.leaves`, keys that are data included."""
    traced = [Lineage(leaf.path, "", leaf.value) for leaf in leaves(arguments)]
    found = features(arguments, None, traced)
    # Empty lists and objects are rows, but no leaves.
    assert found.leaves[1:, _TRACED].sum() == len(traced) <= len(found.keys) - 1
    assert not features(arguments).leaves[1:, _TRACED].any()


@SLOW
@given(arguments=objects)
def test_shapes_and_finite(arguments: dict[str, Any]) -> None:
    found = features(arguments, SPEC)
    assert found.scalars.shape == (CALL_DIM,)
    assert found.leaves.shape == (len(found.keys), LEAF_DIM)
    assert len(found.keys) == len(found.texts) <= MAX_ROWS
    assert np.isfinite(found.leaves).all()
    assert np.isfinite(found.scalars).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 0}, {"a": None}),
        ({"a": ""}, {"a": None}),
        ({"a": []}, {"a": {}}),
        ({"a": []}, {"a": None}),
        ({"a": [1]}, {"a": 1}),
        ({"a": {"b": 1}}, {"a": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": 1}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({}, {"a": None}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": [1, 2]}, {"a": [1, 2, 2]}),
        ({"a": [[1], [2]]}, {"a": [[2], [1]]}),
        ({"a": [[1, 2], [3]]}, {"a": [[1], [2, 3]]}),
        ({"a": [{"b": [1]}, {"b": [2]}]}, {"a": [{"b": [2]}, {"b": [1]}]}),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 2}, {"b": 1}]}),
        ({"a": [5] * 40 + [6]}, {"a": [6] + [5] * 40}),
        ({"a": [6] + [5] * 40}, {"a": [5] * 32 + [6] + [5] * 8}),
        ({"a": "word"}, {"a": "words"}),
        ({"a": "word"}, {"a": "Word"}),
        ({"a": "two words"}, {"a": "twoowords"}),
        ({"a": "ann@x.org"}, {"a": "ann@x-org"}),
        ({"a": ["ann@x.org", "word"]}, {"a": ["word", "ann@x.org"]}),
        ({"x y": 1}, {"x z": 1}),
    ],
)  # fmt: skip
def test_different_arguments_are_told_apart(
    encoder: ExecutionEncoder, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """R21: types, structure, place in a list, also where a list stands in a list."""
    assert np.abs(own(encoder, one) - own(encoder, other)).max() > 5e-6


def test_the_order_of_strings_of_one_shape_is_invisible(encoder: ExecutionEncoder) -> None:
    """P8 against R21: what cannot be told apart cannot be told to have changed places."""
    one, other = ({"a": value} for value in (["dog", "cat"], ["cat", "dog"]))
    assert np.array_equal(own(encoder, one), own(encoder, other))


# --- nothing is cut (R13, G15) ------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 254, 255, 256, 299, 1_234, 4_999])
@pytest.mark.parametrize("old", [7, "shape", {"to": 7}])
def test_every_leaf_of_a_long_list_matters(encoder: ExecutionEncoder, at: int, old: Any) -> None:
    """G15: also where leaves are merged, in fp32 and coarsely enough for int8."""
    items = [old] * 5_000
    changed = [*items[:at], 8, *items[at + 1 :]]
    difference = np.abs(own(encoder, {"items": items}) - own(encoder, {"items": changed})).max()
    assert difference > 1e-4


@pytest.mark.parametrize("at", [0, 1, 700, 4_998])
def test_neighbours_in_a_long_list_do_not_change_places_unseen(
    encoder: ExecutionEncoder, at: int
) -> None:
    """R21: the order inside a merged run."""
    items = list(range(5_000))
    changed = [*items]
    changed[at], changed[at + 1] = changed[at + 1], changed[at]
    difference = np.abs(own(encoder, {"items": items}) - own(encoder, {"items": changed})).max()
    assert difference > 1e-4


@pytest.mark.parametrize("at", [3, 254, 257, 299])
def test_a_key_of_many_matters(encoder: ExecutionEncoder, at: int) -> None:
    """G15: two calls that differ by one declared key of 300, of merged rows too."""
    names = [f"k{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)]
    schema: dict[str, Any] = {"properties": {name: {} for name in [*names, f"{names[at]}z"]}}
    spec = ToolSpec("t", parameters=schema)
    one = dict.fromkeys(names, 1)
    other = {f"{name}z" if i == at else name: 1 for i, name in enumerate(names)}
    for given_spec in (spec, None, ToolSpec("t")):
        first, second = (own(encoder, each, given_spec) for each in (one, other))
        assert np.abs(first - second).max() > 1e-4


@pytest.mark.parametrize("at", [1, 255, 298, 299])
def test_a_trusted_text_of_many_matters(encoder: ExecutionEncoder, at: int) -> None:
    """G15: one enum value of 300, both of one shape."""
    spec = ToolSpec("t", parameters={"properties": {"p": {"items": {"enum": ["dog", "cat"]}}}})
    one = {"p": ["dog"] * 300}
    other = {"p": ["dog"] * at + ["cat"] + ["dog"] * (299 - at)}
    assert np.abs(own(encoder, one, spec) - own(encoder, other, spec)).max() > 1e-4


def test_rows_are_bounded_and_time_is_linear() -> None:
    """100,000 leaves, the most `to_json` lets through, cost 10 times 10,000."""

    def spent(size: int) -> float:
        made = CallInput(call({"rows": [{"n": i} for i in range(size)]}))
        start = time.perf_counter()
        assert len(call_features(made).keys) <= MAX_ROWS
        return time.perf_counter() - start

    assert spent(49_000) < 40 * max(min(spent(4_900) for _ in range(3)), 0.02)


def test_keys_that_an_attacker_may_choose_are_not_kept() -> None:
    """What is kept per tool is bounded: 4,096 places of long keys would be 270 MB."""
    spec = ToolSpec("t", parameters={"properties": {"a": {}}})
    arguments: dict[str, Any] = {"a": 1} | {f"k{chr(97 + i)}" + "x" * 900: 1 for i in range(20)}
    arguments |= {chr(98 + i) * 60: nested(("y" * 60,) * 4, 1) for i in range(20)}
    for given_spec in (spec, None):
        before = len(_known(given_spec)._places)
        features(arguments, given_spec)
        assert len(_known(given_spec)._places) <= before + 1


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    value: Any = 1
    for _ in range(62):
        value = [value]
    assert len(features({"a": value}).keys) == 2


# --- facts ----------------------------------------------------------------------------------------


def span(**fields: Any) -> Span:
    return Span(0, "c", "t", "", "x", "x", **{"tier": 1, **fields})


LINEAGES = {
    "none": None,
    "model": Lineage("/to", "to", "x"),
    "partner": Lineage("/to", "to", "x", (Origin("output", "part", 2),)),  # type: ignore[arg-type]
    "public": Lineage("/to", "to", "x", (Origin("output", "exact", 3),)),  # type: ignore[arg-type]
    "named": Lineage("/to", "to", "x", (Origin("system", "exact", 1),)),  # type: ignore[arg-type]
    "sensitive": Lineage("/to", "to", "x", (Origin("output", "exact", 1, span(sensitive=True)),)),  # type: ignore[arg-type]
    "caused": Lineage("/to", "to", "x", (Origin("output", "exact", 1, span(cause="c")),)),  # type: ignore[arg-type]
    "disguised": Lineage("/to", "to", "x", (Origin("output", "encoded", 1, span()),)),  # type: ignore[arg-type]
    "trivial": Lineage("/to", "to", "x", trivial=True),
    "public, also inside": Lineage("/to", "to", "x", (
        Origin("output", "exact", 3), Origin("output", "exact", 1, span()))),  # type: ignore[arg-type]
}  # fmt: skip


def test_every_fact_of_the_lineage_enters(encoder: ExecutionEncoder) -> None:
    """The ten lineages of one value give ten different calls."""
    found = {
        name: own(encoder, {"to": "x"}, SPEC, [lineage] if lineage else None)
        for name, lineage in LINEAGES.items()
    }
    for one in found:
        for other in found:
            assert one == other or np.abs(found[one] - found[other]).max() > 1e-3, (one, other)


PROFILE = ToolProfile(Effect.WRITE, cost=1.0, scope=2, privilege=2, confidence=0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"effect": Effect.PAY}, {"tier": 3}, {"text_tier": 3}, {"sink": True}, {"privilege": 7},
        {"scope": 9}, {"reversible": False}, {"cost": 900.0}, {"confidence": 1.0},
        {"third_party": ("*",)}, {"identity_args": ("to",)}, {"content_args": ("to",)},
        {"url_args": ("to",)}, {"notifies": ("to",)},
    ],
)  # fmt: skip
def test_every_fact_of_the_profile_enters(
    encoder: ExecutionEncoder, change: dict[str, Any]
) -> None:
    profile = dataclasses.replace(PROFILE, **change)
    one, other = (
        own(encoder, {"to": "x"}, dataclasses.replace(SPEC, profile=p)) for p in (PROFILE, profile)
    )
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("field", ["volume", "sensitivity"])
def test_volume_and_sensitivity_enter_and_none_is_not_zero(
    encoder: ExecutionEncoder, field: str
) -> None:
    rows = [own(encoder, {}, None, None, **{field: value}) for value in (None, 0, 3, 10)]
    for i, one in enumerate(rows):
        assert all(np.abs(one - other).max() > 1e-4 for other in rows[i + 1 :])


def test_a_volume_of_any_size_is_a_number(encoder: ExecutionEncoder) -> None:
    """Python's integers have no end; `math.log1p` does."""
    vast = own(encoder, {}, volume=10**400)
    assert np.isfinite(vast).all()
    assert not np.array_equal(vast, own(encoder, {}, volume=10**399))


def far(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of what the blocks read of x0; the words beside it have a scale of their own."""
    one, other = one[: TINY.hidden_dim], other[: TINY.hidden_dim]
    return 1 - float((one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other))


def test_no_volume_drowns_the_rest(encoder: ExecutionEncoder) -> None:
    """A planner may write any number; tier and scope of the call stay visible beside it."""
    vast: dict[str, Any] = {"volume": 10**4000}
    one = own(encoder, {}, **vast, provenance_tier=1, scope_level=1)
    other = own(encoder, {}, **vast, provenance_tier=3, scope_level=10)
    assert far(one, other) > 5e-3


@pytest.mark.parametrize("spec", [SPEC, None])
def test_padding_does_not_hide_where_a_value_came_from(
    encoder: ExecutionEncoder, spec: ToolSpec | None
) -> None:
    """20,000 numbers beside one recipient leave its lineage visible."""
    arguments = {"to": "eve@evil.example", "copies": [1] * 20_000}
    origins = (
        Origin("instruction", "exact", Provenance.INTERNAL),
        Origin("output", "exact", Provenance.PUBLIC),
    )
    one, other = (
        own(encoder, arguments, spec, [Lineage("/to", "to", "eve@evil.example", (origin,))])
        for origin in origins
    )
    assert far(one, other) > 2e-3


def test_another_tainted_leaf_does_not_hide_where_the_recipient_came_from() -> None:
    arguments = {"to": "eve@evil.example", "body": "Hello Ann."}
    public = (Origin("output", "exact", Provenance.PUBLIC),)
    given = (Origin("instruction", "exact", Provenance.INTERNAL),)
    body = Lineage("/body", "body", arguments["body"], public)
    rows = [
        features(arguments, SPEC, [body, Lineage("/to", "to", arguments["to"], origins)]).scalars
        for origins in (given, public)
    ]
    assert not np.array_equal(rows[0], rows[1])


def test_keys_that_are_data_cost_linear_time() -> None:
    """Each key was looked up in a list: 90,000 of them took more than a minute."""
    arguments = {"m": {f"k-{i}": 1 for i in range(45_000)}}
    given_call = CallInput(call(arguments))
    start = time.perf_counter()
    call_features(given_call)
    assert time.perf_counter() - start < 8


def test_a_spec_makes_a_difference_and_edges_do_not(encoder: ExecutionEncoder) -> None:
    """A call's own embedding is of the call alone."""
    node = call({"to": "x"})
    other = ToolCall(node_id="b", tool_name="read_file", arguments={})
    lone = ExecutionPlan(nodes=(node,))
    joined = ExecutionPlan(nodes=(node, other), edges=(Edge(source="b", target="a"),))
    rows = [encoder.embed_calls([CallInput(plan.calls["a"])])[0] for plan in (lone, joined)]
    assert np.array_equal(*rows)
    assert abs(float(np.linalg.norm(rows[0])) - 1) < 1e-5
    assert np.abs(encoder.embed_calls([CallInput(node, SPEC)])[0] - rows[0]).max() > 1e-3
