"""The safe lattice: a repaired plan is never worse than the original, whatever edits say (R60).

Checked after the search, on the two plans alone. Every call of the repaired plan is compared with
the original call of its id; the one that waits after a split (`<id>-rest`) with the call that it
was split from. Pure, deterministic, linear in the plan but for lists (see `narrower`).

Sees: tools, arguments, edges, holds, declared tiers. Does not see: what tools do beyond their
profile, and whether the task is still served (`similarity`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gatling_guard.catalog.lexicon import RISK
from gatling_guard.catalog.types import ToolProfile, ToolSpec
from gatling_guard.errors import CycleError
from gatling_guard.plan import Provenance, ToolCall, digest, escape
from gatling_guard.plan.model import structure_issues
from gatling_guard.repair.exposure import exposure
from gatling_guard.repair.narrower import is_careful, wider
from gatling_guard.repair.terms import terms_of
from gatling_guard.repair.types import Draft, Scene
from gatling_guard.repair.wiring import MiswiredEdge, miswired
from gatling_guard.rules import RuleFacts
from gatling_guard.rules.references import listed_only
from gatling_guard.rules.schema import check_schema

REST = "-rest"
"""Ends the id of the call that waits after a split."""
BreachKind = Literal[
    "shape", "call", "order", "hold", "tool", "privilege", "effect", "scope", "sink", "egress",
    "reach", "undo", "value", "argument", "taint", "schema", "edge", "split", "exposure",
]  # fmt: skip
_NO_FAULT = ("schema.coerced", "schema.unchecked", "schema.broken")


@dataclass(frozen=True, slots=True)
class Breach:
    """One way in which a repaired plan is worse than the original."""

    node_id: str
    """"" where it is about the whole plan."""
    where: str
    """JSON pointer inside the call's arguments, or ""."""
    what: BreachKind
    message: str
    """For operators; names places, never values."""


def violations(before: Draft, after: Draft, scene: Scene) -> tuple[Breach, ...]:
    """Every way in which `after` is worse than `before`; empty: it may stand (R60).

    Args:
        before: the original plan.
        after: what the search made of it.
        scene: what was authorised. Tools that it does not know may stay, and take no other form.
    """
    if broken := tuple(_shape(after)):
        return broken  # what is no plan cannot be compared
    return tuple(dict.fromkeys(_worse(before, after, scene)))


def origin_of(before: Draft, node_id: str) -> str | None:
    """The original call that a call of a repaired plan comes from; None where there is none."""
    while node_id not in before.plan.calls:
        if not node_id.endswith(REST):
            return None
        node_id = node_id.removesuffix(REST)
    return node_id


def _shape(after: Draft) -> Iterator[Breach]:
    nodes = after.plan.nodes
    for issue in structure_issues([n.node_id for n in nodes], after.plan.edges):
        yield Breach("", issue.where, "shape", issue.message)
        return
    try:
        after.plan.order  # noqa: B018 - computed, and kept, at first use
    except CycleError:
        yield Breach("", "/edges", "shape", "the edges form a cycle")


def _worse(before: Draft, after: Draft, scene: Scene) -> Iterator[Breach]:
    origins = {node: origin_of(before, node) for node in after.plan.calls}
    for node, origin in origins.items():
        if origin is None:
            yield Breach(node, "", "call", "the original has no such call")
        elif node != origin and node not in after.holds:
            yield Breach(node, "", "hold", "what was split off does not wait")
    known = {node: origin for node, origin in origins.items() if origin is not None}
    yield from _holds(before, after, known)
    yield from _kept(before, after, known, scene)
    for node, origin in known.items():
        old, new = before.plan.calls[origin], after.plan.calls[node]
        if old.content_hash != new.content_hash:
            yield from _call(node, old, new, scene)
    yield from _splits(before, after, known)
    for edge in miswired(before.plan, after.plan, known):
        yield _edge(edge)
    if exposure(after, scene, beside=before) > exposure(before, scene, beside=after):
        yield Breach("", "", "exposure", "more rows of sensitive data than before")


def _holds(before: Draft, after: Draft, known: Mapping[str, str]) -> Iterator[Breach]:
    for node, origin in known.items():
        if origin in before.holds and node not in after.holds:
            yield Breach(node, "", "hold", "it waited for a person and no longer does")
    for node in sorted(after.holds - after.plan.calls.keys()):
        yield Breach(node, "", "hold", "a call waits that is not there")


def _kept(before: Draft, after: Draft, known: Mapping[str, str], scene: Scene) -> Iterator[Breach]:
    place = {node: i for i, node in enumerate(before.plan.calls)}
    stay = [place[origin] for origin in known.values()]
    if stay != sorted(stay):
        yield Breach("", "", "order", "calls stand in another order")
    if scene.step and (list(after.plan.calls) != list(before.plan.calls)):
        yield Breach("", "", "call", "in a running session a call stays one call")
    if scene.step and after.holds != before.holds:
        yield Breach("", "", "hold", "in a running session an edit holds nothing")


def _call(node: str, old: ToolCall, new: ToolCall, scene: Scene) -> Iterator[Breach]:
    spec_old, spec_new = scene.specs(old.tool_name), scene.specs(new.tool_name)
    if spec_old is None or spec_new is None:
        yield Breach(node, "", "tool", "a tool that nobody knows takes no other form")
        return
    if old.tool_name != new.tool_name:
        if scene.step:
            yield Breach(node, "", "tool", "in a running session a call keeps its tool")
        for what, message in _tool(spec_old.profile, spec_new.profile):
            yield Breach(node, "", what, message)
        yield from _roles(node, spec_old.profile, spec_new.profile, new)
        for name in old.arguments.keys() - new.arguments.keys():
            if is_careful(name):
                yield Breach(node, f"/{escape(name)}", "scope", "it is done for good now")
    for what, message in _said(old, new):
        yield Breach(node, "", what, message)
    if new.arguments != old.arguments:
        swapped = old.tool_name != new.tool_name
        given = _given(old, spec_new) if swapped else old.arguments
        for found in wider(given, new.arguments, terms_of(spec_new, scene)):
            yield Breach(node, found.where, found.what, found.message)
        if len(spec_new.profile.notified(new.arguments)) > len(
            spec_old.profile.notified(old.arguments)
        ):
            yield Breach(node, "", "reach", "it reaches more parties than before")
    yield from _schema(node, old, new, scene)


def _tool(old: ToolProfile, new: ToolProfile) -> Iterator[tuple[BreachKind, str]]:
    """What another tool can do that the original could not."""
    if new.privilege > old.privilege:
        yield "privilege", f"privilege {new.privilege} above {old.privilege}"
    if RISK[new.effect] > RISK[old.effect]:
        yield "effect", f"{new.effect.value} weighs more than {old.effect.value}"
    if new.scope > old.scope:
        yield "scope", f"scope {new.scope} above {old.scope}"
    if new.sink and not old.sink:
        yield "sink", "data given to it leaves, which it did not before"
    if new.url_args and not old.url_args:
        yield "egress", "its arguments say where to go, which they did not before"
    if old.reversible and not new.reversible:
        yield "undo", "it cannot be undone, and the original could"
    if _returns(new) > _returns(old):
        yield "taint", "it returns data of a worse tier"
    if new.basis == "inferred" and new.confidence < 0.5:
        yield "tool", "what the tool does is only guessed"


def _returns(profile: ToolProfile) -> Provenance:
    """The worst tier of what it returns. What acts returns its own word that it worked."""
    foreign = bool(profile.third_party) or profile.text_tier is Provenance.PUBLIC
    reads = not profile.effect.side_effect
    return Provenance.PUBLIC if reads and foreign else profile.tier


def _roles(node: str, old: ToolProfile, new: ToolProfile, call: ToolCall) -> Iterator[Breach]:
    """Text that becomes a destination, because the other tool takes it for one."""
    where_to = {*new.identity_args, *new.url_args, *new.notifies}
    for name in where_to & call.arguments.keys():
        if name not in (*old.identity_args, *old.url_args, *old.notifies):
            yield Breach(node, f"/{name}", "value", "no identity before, and one now")


def _given(old: ToolCall, spec: ToolSpec) -> dict[str, Any]:
    """The original's arguments that another tool knows, and the sizes among the others."""
    listed = listed_only(spec.parameters)
    return {k: v for k, v in old.arguments.items() if listed is None or k in listed}


def _said(old: ToolCall, new: ToolCall) -> Iterator[tuple[BreachKind, str]]:
    """What a call says of itself: a repair neither raises it nor makes it look better."""
    if new.provenance_tier != old.provenance_tier:
        yield "taint", "another tier of the data that it works on"
    if new.scope_level > old.scope_level:
        yield "scope", f"scope level {new.scope_level} above {old.scope_level}"
    if new.sensitivity != old.sensitivity:
        yield "taint", "another sensitivity"
    if (old.volume is None) != (new.volume is None) or (new.volume or 0) > (old.volume or 0):
        yield "scope", "a larger volume, or one that is no longer known"


def _schema(node: str, old: ToolCall, new: ToolCall, scene: Scene) -> Iterator[Breach]:
    """Faults by the tool's own schema that the original did not have."""
    had = _faults(old, scene) if old.tool_name == new.tool_name else frozenset()
    for rule, where in sorted(_faults(new, scene) - had):
        yield Breach(node, where, "schema", f"{rule}: not as the tool's schema says")


def _faults(call: ToolCall, scene: Scene) -> frozenset[tuple[str, str]]:
    facts = RuleFacts(call, scene.specs(call.tool_name), scene.policy, scene.role, ())
    return frozenset((f.rule, f.where) for f in check_schema(facts) if f.rule not in _NO_FAULT)


def _splits(before: Draft, after: Draft, known: Mapping[str, str]) -> Iterator[Breach]:
    """The parts of a call share out a list; neither may do all of it again."""
    parts: dict[str, list[ToolCall]] = {}
    for node, origin in known.items():
        parts.setdefault(origin, []).append(after.plan.calls[node])
    for origin, calls in parts.items():
        if len(calls) > 1 and not _shared_out(before.plan.calls[origin], calls):
            yield Breach(origin, "", "split", "the parts together do more than the original")
        if any(call.tool_name != before.plan.calls[origin].tool_name for call in calls[1:]):
            yield Breach(origin, "", "split", "a part calls another tool")


def _shared_out(old: ToolCall, calls: list[ToolCall]) -> bool:
    """Whether some list of the original is divided among the calls, nothing twice."""
    for name, value in old.arguments.items():
        lists = [call.arguments.get(name) for call in calls]
        if not isinstance(value, list) or not all(isinstance(v, list) and v for v in lists):
            continue
        have = [digest(item) for item in value]
        want = [digest(item) for part in lists for item in part or ()]
        if all(want.count(item) <= have.count(item) for item in set(want)):
            return True
    return False


def _edge(found: MiswiredEdge) -> Breach:
    return Breach(found.target, found.where, found.what, found.message)
