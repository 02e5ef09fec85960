"""What must hold of a twin: it is a valid plan, it differs, and the energy of its term rises (R71).

`energies` builds from a sample's facts what the energy terms look at, so no tracer and no guard
runs; it says what the structure alone makes of a plan. Too slow for the generator (some 0.5 ms):
tests, reports and the antagonist use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gatling_guard.energy import STRUCTURAL, Energy, EnergyFacts, Share, bounded
from gatling_guard.errors import Issue
from gatling_guard.plan import Edge, ExecutionPlan, Provenance, ToolCall, leaves, parse_plan
from gatling_guard.trace import (
    Lineage,
    Match,
    Origin,
    Span,
    canonical,
    find_bounded,
    trimmed,
)
from gatling_guard.training.sample import TERMS, Json, Sample, content_hash
from gatling_guard.training.twin import PLAIN, authority_of, spec_of
from gatling_guard.training.wellformed import validate

_TOLERANCE = 1e-9


def energies(sample: Sample) -> Energy:
    """Structural energy of a plan, from its facts.

    Raises:
        InputError: the plan is none.
    """
    plan = parse_plan(sample.plan)
    authority = authority_of(sample)
    spans = _spans(sample)
    order = {node: at for at, node in enumerate(plan.order)}
    shares: list[Share] = []
    for node in plan.order:
        call, tool = plan.calls[node], sample.tools.get(plan.calls[node].tool_name)
        if tool is None:
            continue
        seen = [span for span in spans if order.get(span.call_id, len(order)) < order[node]]
        facts = EnergyFacts(
            call,
            spec_of(call.tool_name, tool),
            _lineages(sample, plan, call, seen),
            authority,
            untrusted_read=any(span.tier is Provenance.PUBLIC for span in seen),
        )
        shares += STRUCTURAL(facts).shares
    return bounded(shares)


def total_energy(sample: Sample) -> float:
    """Sum of the structural terms; an energy function for the antagonist."""
    return energies(sample).total


def _spans(sample: Sample) -> list[Span]:
    return [
        Span(
            number, text["node"], "", "/text", text["text"], canonical(text["text"]),
            Provenance(text["tier"]), free_text=True, directive=bool(text["directive"]),
        )
        for number, text in enumerate(sample.texts, start=1)
    ]  # fmt: skip


def _lineages(
    sample: Sample, plan: ExecutionPlan, call: ToolCall, seen: list[Span]
) -> tuple[Lineage, ...]:
    known = sample.facts.get(call.node_id, {})
    into = [e for e in plan.edges if e.target == call.node_id and e.kind == "data"]
    found = []
    for leaf in leaves(call.arguments):
        fact = {**PLAIN, **known.get(leaf.path, {})}
        trivial = leaf.value is None or isinstance(leaf.value, bool) or leaf.value == ""
        top = leaf.path.split("/", 2)[1].replace("~1", "/").replace("~0", "~")
        origins = tuple(_origins(leaf.path, leaf.value, fact, into, seen))
        found.append(Lineage(leaf.path, top, leaf.value, origins, trivial))
    return tuple(found)


def _origins(
    path: str, value: Any, fact: Json, into: list[Edge], seen: list[Span]
) -> Iterable[Origin]:
    tier = Provenance(fact["tier"])
    match: Match = "encoded" if fact["disguised"] else "exact"
    if fact["named"]:
        yield Origin("instruction", "exact", Provenance.INTERNAL)
    key = trimmed(canonical(str(value)))
    held = [
        span
        for span in seen
        if span.tier <= tier and len(key) > 1 and find_bounded(key, span.canonical) >= 0
    ]
    for span in held:
        yield Origin("output", match if fact["disguised"] else "substring", span.tier, span)
    told = {span.call_id for span in held}
    fed = [
        edge
        for edge in into
        if edge.source not in told
        and (edge.argument is None or f"{path}/".startswith(f"{edge.argument}/"))
    ]
    hidden = fact["sensitive"] or fact["caused"] or fact["disguised"]
    if fed or hidden or (tier > Provenance.INTERNAL and not held):
        source = fed[0].source if fed else ""
        span = Span(
            0, source, "", fed[0].output or "" if fed else "", str(value), key, tier,
            cause="call" * fact["caused"], sensitive=fact["sensitive"],
        )  # fmt: skip
        yield Origin("output", match, tier, span)
    elif not (fact["named"] or held):
        yield Origin("model", "none", Provenance.INTERNAL)
    if tier is Provenance.PUBLIC and not fact["untrusted"] and not fact["named"]:
        yield Origin("output", "exact", Provenance.INTERNAL)


def rises(gold: Sample, twin: Sample) -> dict[str, bool]:
    """For every term the twin is said to violate, whether its structural energy rose on some call.

    By call, as a guard judges: what a new call costs must not be set off by another one, to which
    a word more of the user's gives a discount.
    """
    before, after = _by_call(gold), _by_call(twin)
    return {
        term: any(
            value > before.get((call, found), 0.0) + _TOLERANCE
            for (call, found), value in after.items()
            if found == term
        )
        for term in twin.violates
    }


def _by_call(sample: Sample) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for share in energies(sample).shares:
        key = (share.node_id, share.term)
        found[key] = found.get(key, 0.0) + share.value
    return found


def check_twin(gold: Sample, twin: Sample) -> list[Issue]:
    """Faults of a twin: its own, and what it owes to its gold sample."""
    issues = [*validate(twin), *_text_issues(twin)]
    if twin.family != gold.family:
        issues.append(Issue("/family", "is not that of the gold sample"))
    if twin.id == gold.id or content_hash(twin) == content_hash(gold):
        issues.append(Issue("/plan", "does not differ from the gold sample"))
    if twin.label == "gold":
        if twin.violates or twin.severity:
            issues.append(Issue("/violates", "an honest twin violates nothing"))
    elif not twin.violates or not twin.mutation or not 0 < twin.severity <= 1:
        issues.append(Issue("/violates", "terms, mutation and severity are needed"))
    issues += [Issue("/violates", f"{t!r} is no term") for t in twin.violates if t not in TERMS]
    return issues


def _text_issues(twin: Sample) -> Iterable[Issue]:
    """A text can only ask for calls that run after it was read."""
    order = {node["node_id"]: at for at, node in enumerate(twin.plan["nodes"])}
    for number, text in enumerate(twin.texts):
        if any(order.get(goal, 0) <= order.get(text["node"], 0) for goal in text["goal_of"]):
            yield Issue(f"/texts/{number}", "asks for a call that ran before it was read")
