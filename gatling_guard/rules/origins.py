"""Where argument values have to come from: required origins.

Sees: what the lineage index found, exactly or as a part; the argument in its own place, inside
another one, in JSON that is a text, and under another spelling of its name. Does not see: a value
in a text that is no JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gatling_guard.plan import Leaf, Provenance, escape, leaves
from gatling_guard.policy import ToolRule, glob_match
from gatling_guard.rules.constraint import described
from gatling_guard.rules.facts import RuleFacts
from gatling_guard.rules.finding import Finding
from gatling_guard.rules.flow import says_nothing
from gatling_guard.rules.hidden import Layer, layers
from gatling_guard.rules.names import Path, same_name
from gatling_guard.rules.plain import Wanted
from gatling_guard.rules.quote import shown
from gatling_guard.rules.references import properties
from gatling_guard.trace.types import Lineage, Origin

_TRUSTED = ("instruction", "system", "policy")


def check_origins(facts: RuleFacts) -> Iterable[Finding]:
    """`origin.required`: a value that does not come from where the policy says it must."""
    entries = [(glob, rule) for glob, rule in facts.view.entries if rule.origin]
    if not entries:
        return
    listed = {same_name(name) for name in properties(facts.spec.parameters if facts.spec else {})}
    names = {same_name(name) for _, rule in entries for name in rule.origin}
    wanted_in_text: Wanted = dict.fromkeys(names - listed, "text")
    found, _ = layers(facts.call.arguments, wanted_in_text)
    known = {leaf.path: leaf for leaf in facts.lineage}
    for glob, rule in entries:
        for argument, wanted in rule.origin.items():
            allowed = f"{', '.join(wanted)} (policy, {glob!r})"
            for place in _values(facts, found, argument, rule):
                leaf = known.get(place.path)
                if says_nothing(leaf or place) or (leaf is not None and _accepted(leaf, wanted)):
                    continue
                text = f"{shown(place.path)}: should come from {allowed}"
                yield Finding("origin.required", "block", text, place.path)


def _values(
    facts: RuleFacts, found: Sequence[Layer], argument: str, rule: ToolRule
) -> Iterator[Leaf]:
    """Every value given for an argument; of one inside a text, the text."""
    done: set[Path] = set()
    for layer in found:
        for path in _places(facts, layer, argument, rule):
            outer = next((n for n in range(1, len(path)) if path[:n] in layer.decoded), len(path))
            if path[:outer] not in done:
                done.add(path[:outer])
                yield from _leaves(facts.call.arguments, path[:outer])
    if (argument,) not in done:  # in a plan: what an earlier call is going to fill in
        yield from (Leaf(i.path, i.value) for i in facts.lineage if i.argument == argument)


def _leaves(arguments: object, path: Path) -> Iterator[Leaf]:
    value: object = arguments
    for part in path:
        value = value[part]  # type: ignore[index]
    yield from leaves(value, "".join(f"/{escape(str(part))}" for part in path))


def _places(facts: RuleFacts, layer: Layer, argument: str, rule: ToolRule) -> Iterator[Path]:
    """Where an argument stands; see `Constraint` for what counts as another one."""
    own = facts.spec.parameters if facts.spec else {}
    wanted, given = same_name(argument), argument in facts.call.arguments
    stack: list[tuple[Path, object]] = [((), layer.value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, dict):
            for name, child in item.items():
                at = (*path, name)
                stack.append((at, child))
                if same_name(name) != wanted or (name != argument and name in rule.origin):
                    continue
                if at == (argument,) or not (given and described(own, at)):
                    yield at
        elif isinstance(item, list):
            stack += [((*path, place), child) for place, child in enumerate(item)]


def _accepted(leaf: Lineage, wanted: Sequence[str]) -> bool:
    outputs = [origin for origin in leaf.origins if origin.source == "output"]
    for origin in leaf.origins:
        # A text that merely holds something from a listed source does not come from there.
        if origin.source in _TRUSTED and origin.source in wanted and origin.vouches:
            return True
        listed = origin.source == "output" and origin.vouches and _listed(origin, wanted)
        if listed and not _echo(origin, outputs, wanted):
            return True
    return "model" in wanted and not outputs


def _listed(origin: Origin, wanted: Sequence[str]) -> bool:
    return origin.tier.name.lower() in wanted or any(
        origin.span is not None and glob_match(item[5:], origin.span.tool)
        for item in wanted
        if item.startswith("tool:")
    )


def _echo(origin: Origin, outputs: Sequence[Origin], wanted: Sequence[str]) -> bool:
    """Whether a listed tool may only repeat what an unlisted public text said before (P4)."""
    if origin.tier is not Provenance.PUBLIC or origin.span is None:
        return False
    return any(
        other.tier is Provenance.PUBLIC
        and other.span is not None
        and other.span.span_id < origin.span.span_id
        and not _listed(other, wanted)
        for other in outputs
    )
