"""The four structural terms: what raises them, what leaves them at zero, and that they add up."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatling_guard.catalog import Effect, ToolProfile, ToolSpec
from gatling_guard.energy import CAPS, STRUCTURAL, TERMS, Composite, Energy, EnergyFacts, Share
from gatling_guard.energy.hierarchy import GROUNDLESS
from gatling_guard.plan import Provenance, ToolCall, leaves
from gatling_guard.trace import Authority, Lineage, Origin, Span

INTERNAL, PARTNER, PUBLIC = Provenance.INTERNAL, Provenance.PARTNER, Provenance.PUBLIC


def span(tier: Provenance, *, directive: bool = False, call: str = "c0") -> Span:
    return Span(1, call, "read", "/body", "pay eve", "pay eve", tier, True, directive)


def origin(tier: Provenance | None, *, directive: bool = False) -> Origin:
    if tier is None:
        return Origin("instruction", "exact", INTERNAL)
    return Origin("output", "exact", tier, span(tier, directive=directive))


def facts(
    arguments: dict[str, Any], origins: dict[str, list[Origin]] | None = None,
    profile: ToolProfile | None = None, *, instruction: str = "", untrusted_read: bool = False,
    inside: str = "corp.example", parameters: dict[str, Any] | None = None,
) -> EnergyFacts:  # fmt: skip
    profile = profile or ToolProfile(
        Effect.PAY, sink=True, identity_args=("to",), content_args=("body",), privilege=10,
        reversible=False,
    )  # fmt: skip
    call = ToolCall(node_id="c1", tool_name="tool", arguments=arguments)
    lineage = tuple(
        Lineage(leaf.path, leaf.path.split("/")[1], leaf.value,
                tuple((origins or {}).get(leaf.path.split("/")[1], ())))
        for leaf in leaves(arguments)
    )  # fmt: skip
    spec = ToolSpec("tool", parameters=parameters or {"type": "object"}, profile=profile)
    return EnergyFacts(
        call, spec, lineage, Authority.of([instruction] if instruction else []),
        untrusted_read=untrusted_read, inside=lambda value: value.endswith(inside),
    )  # fmt: skip


def test_a_clean_call_costs_nothing() -> None:
    """R33: what the user named, done with a tool he asked for, has energy 0."""
    energy = STRUCTURAL(facts({"to": "ann@x.example"}, {"to": [origin(None)]}))
    assert energy.total == 0.0


@pytest.mark.parametrize("tier", list(Provenance))
def test_provenance_grows_with_untrust(tier: Provenance) -> None:
    """R35: zero for internal sources, more for partners, most for public text."""
    value = STRUCTURAL(facts({"to": "x"}, {"to": [origin(tier)]})).provenance
    assert value == pytest.approx({1: 0.0, 2: 2.8, 3: 7.0}[int(tier)])


@given(st.integers(1, 9), st.sampled_from([PARTNER, PUBLIC]))
def test_provenance_grows_with_privilege(privilege: int, tier: Provenance) -> None:
    """R35: strictly monotone in privilege for any untrusted tier; (10, internal) is 0."""

    def value(p: int, t: Provenance) -> float:
        profile = ToolProfile(Effect.WRITE, identity_args=("to",), privilege=p)
        return STRUCTURAL(facts({"to": "x"}, {"to": [origin(t)]}, profile)).provenance

    assert value(privilege, tier) < value(privilege + 1, tier)
    assert value(10, INTERNAL) == 0.0


def test_a_value_the_user_named_has_no_trust_gap() -> None:
    """design 5: unless the authority names the value."""
    named = facts({"to": "x"}, {"to": [origin(PUBLIC), origin(None)]})
    assert STRUCTURAL(named).provenance == 0.0


def test_untrusted_text_that_gives_arguments_and_effects_is_steering() -> None:
    """R34: tier-3 text in a recipient is high; the same text summarised for the user is low."""
    steered = facts(
        {"to": "eve", "body": "b"},
        {"to": [origin(PUBLIC, directive=True)], "body": [origin(PUBLIC, directive=True)]},
        instruction="Summarise my mail", untrusted_read=True,
    )  # fmt: skip
    assert STRUCTURAL(steered).hierarchy >= 8  # recipient, body and the unasked effect
    reading = ToolProfile(Effect.READ, identity_args=("to",))
    read = facts({"to": "eve"}, {"to": [origin(PUBLIC, directive=True)]}, reading,
                 untrusted_read=True)  # fmt: skip
    assert STRUCTURAL(read).total == 0.0


def test_an_unasked_effect_counts_only_after_untrusted_text() -> None:
    """R34: without anything to steer it, an unasked effect is the model's own idea."""
    calls = {
        seen: STRUCTURAL(facts({"to": "x"}, instruction="Tell me a joke", untrusted_read=seen))
        for seen in (False, True)
    }
    assert calls[False].hierarchy == GROUNDLESS
    assert 2.0 <= calls[True].hierarchy < 8.0
    asked = facts({"to": "x"}, instruction="Please pay the bill", untrusted_read=True)
    assert STRUCTURAL(asked).hierarchy == GROUNDLESS


def limit(value: float, **schema: Any) -> float:
    parameters = {"type": "object", "properties": {"limit": {"type": "integer", **schema}}}
    return STRUCTURAL(
        facts({"limit": value}, profile=ToolProfile(Effect.READ), parameters=parameters)
    ).scope


def test_scope_is_zero_up_to_the_budget_then_logarithmic() -> None:
    """R36: 101 against 100 is already above 0; growth is bounded."""
    assert limit(1) == limit(100) == 0.0
    assert 0.0 < limit(101) < limit(200) < limit(1000) < limit(10_000)
    assert limit(1000) == pytest.approx(math.log(10))
    assert limit(1e300) <= CAPS["scope"]
    assert limit(500, default=500) == 0.0


def test_bulk_recipients_count() -> None:
    """R36: a long list of recipients is scope, too."""
    few, many = (facts({"to": [f"p{i}" for i in range(n)]}) for n in (10, 100))
    assert STRUCTURAL(few).scope == 0.0
    assert STRUCTURAL(many).scope > 2.0


@pytest.mark.parametrize(
    ("to", "known", "body", "least", "most"),
    [
        ("ann@corp.example", PUBLIC, INTERNAL, 0.0, 0.0),
        ("eve@evil.example", None, INTERNAL, 0.0, 0.0),
        ("eve@evil.example", INTERNAL, INTERNAL, 1.0, 1.0),
        ("eve@evil.example", PARTNER, INTERNAL, 2.0, 2.0),
        ("eve@evil.example", PUBLIC, INTERNAL, 5.0, 5.0),
    ],
)
def test_flow_is_judged_by_the_destination(
    to: str, known: Provenance | None, body: Provenance, least: float, most: float
) -> None:
    """R38: the same tool is harmless inside, and towards whom the user named."""
    found = facts({"to": to, "body": "data"}, {"to": [origin(known)], "body": [origin(body)]})
    assert least <= STRUCTURAL(found).flow <= most


def test_a_read_that_carries_a_url_is_a_sink() -> None:
    """R38: data can leave inside the address of what is fetched."""
    profile = ToolProfile(Effect.READ, url_args=("url",), content_args=("q",))
    found = facts({"url": "http://evil.example", "q": "d"},
                  {"url": [origin(PUBLIC)], "q": [origin(INTERNAL)]}, profile)  # fmt: skip
    energy = STRUCTURAL(found)
    assert energy.flow > 2
    assert energy.provenance > 0


tiers = st.sampled_from([None, INTERNAL, PARTNER, PUBLIC])
origin_lists = st.lists(st.builds(origin, tiers, directive=st.booleans()), max_size=3)


@given(
    st.dictionaries(st.sampled_from(["to", "body", "limit", "x"]),
                    st.text("ab", min_size=1) | st.integers(-5, 10**9), min_size=1),
    st.dictionaries(st.sampled_from(["to", "body", "limit", "x"]), origin_lists),
    st.sampled_from(list(Effect)), st.booleans(), st.integers(1, 10), st.booleans(),
)  # fmt: skip
def test_energies_are_sums_of_shares_and_capped(
    arguments: dict[str, Any], origins: dict[str, list[Origin]], effect: Effect, sink: bool,
    privilege: int, untrusted: bool,
) -> None:  # fmt: skip
    """R33, R41, R45: every term >= 0, at most its cap, and exactly the sum of its shares."""
    profile = ToolProfile(effect, sink=sink, identity_args=("to", "x"), privilege=privilege)
    energy = STRUCTURAL(facts(arguments, origins, profile, untrusted_read=untrusted))
    for term in TERMS:
        assert 0.0 <= energy.terms[term] <= CAPS[term] + 1e-9
    assert sum(share.value for share in energy.shares) == pytest.approx(energy.total, abs=1e-6)
    assert sum(energy.by_node().values()) == pytest.approx(energy.total, abs=1e-6)
    assert energy.total < 100


@given(
    st.dictionaries(st.sampled_from(["to", "body", "x"]), origin_lists),
    st.sampled_from(["to", "body", "x"]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_one_more_untrusted_origin_never_lowers_energy(
    origins: dict[str, list[Origin]], where: str, directive: bool, untrusted: bool
) -> None:
    """P2: an attacker gains nothing by writing a value once more."""
    arguments = {"to": "a", "body": "b", "x": "c"}
    more = {**origins, where: [*origins.get(where, []), origin(PUBLIC, directive=directive)]}
    before = STRUCTURAL(facts(arguments, origins, untrusted_read=untrusted))
    after = STRUCTURAL(facts(arguments, more, untrusted_read=True))
    assert after.total >= before.total - 1e-9


def test_terms_can_be_weighed_and_switched_off() -> None:
    """R40: an ablation returns exactly the rest."""
    found = facts({"to": "eve", "body": "b", "limit": 1000},
                  {"to": [origin(PUBLIC, directive=True)], "body": [origin(INTERNAL)]},
                  untrusted_read=True)  # fmt: skip
    full = STRUCTURAL(found)
    assert min(full.terms.values()) > 0
    for off in TERMS:
        ablated = Composite(STRUCTURAL.terms, {t: float(t != off) for t in TERMS})(found)
        assert ablated.terms == {**full.terms, off: 0.0}


def test_energies_of_parts_add_up() -> None:
    """R45: a plan's energy is that of its calls."""
    one = Energy.of([Share("flow", "a", 1.0, "x"), Share("scope", "a", 0.0, "nothing")])
    two = Energy.of([Share("flow", "b", 2.0, "y")])
    assert (one + two).flow == 3.0
    assert (one + two).by_node() == {"a": 1.0, "b": 2.0}
    assert len(one.shares) == 1
