"""What of a plan the user asked for: the goals that a repair should leave (R58).

A goal is a part of the ORIGINAL plan that the instruction asks for: an effect, the values that say
for whom or which, what is told, the data that is read. What only a stranger's text wants is none,
so that dropping it costs nothing. Where no instruction is known, everything counts as asked for.

| goal | weight | when |
|---|---|---|
| effect | 3, or 1.5 | asked for by the instruction itself; 1.5 where its words name neither the thing nor a value of the call, and where they only delegate ("do what the note says") |
| value | 2 per call | its identity values that the user named, or (half as much each) that no stranger gave |
| content | 1 per call | its texts; one that earlier output flows into weighs as the long text it becomes |
| data | 1, or 0.5 | the words name what is read; 0.5 where it only feeds a goal |

A call of a tool that nobody knows is an effect of 1.5 where the user named a value of it: what it does
cannot be told, so it is never left out for free.

Where the user delegates, any act that he did not ask for himself may be what the text was to say:
to leave one out is never free. Its values and texts are no goals.

Sees: verbs, nouns and values of the instruction, lineage of the arguments. Does not see: which text
was delegated to, effects that are implied ("resolve the ticket"), negated values, which of two
calls is meant where strangers gave the values of both.
"""  # noqa: E501 - a row of a table is one line

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gatling_guard.catalog.types import Effect, ToolSpec
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.plan import Provenance, ToolCall, leaves
from gatling_guard.repair.types import Draft, Scene
from gatling_guard.trace import Authority, Lineage

GoalKind = Literal["effect", "value", "content", "data"]
EFFECT, VAGUE = 3.0, 1.5
VALUES = 2.0
CONTENT = 1.0
FLOWS_IN = 1_000
"""Characters that a text counts as which stands for output that will flow in: `$1.body`."""
DATA, FEEDS = 1.0, 0.5
_NAMED, _KNOWN = 1.0, 0.5
"""Of a call's identity values: one that the user named, one that no stranger gave."""


class Wanted(NamedTuple):
    """A part of the original plan that was asked for."""

    kind: GoalKind
    nodes: tuple[str, ...]
    """Calls that serve it; any of them does."""
    leaf: Lineage | None
    """For values and content."""
    weight: float


@dataclass(frozen=True)
class Reading:
    """One original call, and what is known of its arguments."""

    call: ToolCall
    spec: ToolSpec
    facts: EnergyFacts

    @property
    def acts(self) -> bool:
        """It changes something."""
        return self.spec.profile.effect.side_effect

    @property
    def where(self) -> tuple[Lineage, ...]:
        """The leaves that say who, where, which or how much."""
        names = (*self.spec.profile.identity_args, *self.spec.profile.url_args)
        found = self.facts.lineage
        return tuple(leaf for leaf in found if leaf.argument in names and not leaf.trivial)

    @property
    def led(self) -> bool:
        """A stranger says for whom or which, and the user does not."""
        return any(map(foreign, self.where)) and not any(leaf.named for leaf in self.where)


def foreign(leaf: Lineage) -> bool:
    """Whether only strangers' text gives a value."""
    return leaf.tier is Provenance.PUBLIC and not leaf.named


def readings(scene: Scene, draft: Draft) -> dict[str, Reading]:
    """Every call of a tool that is known, by node id."""
    found = {}
    for node, call in draft.plan.calls.items():
        if (spec := scene.specs(call.tool_name)) is not None:
            lineage = scene.lineages.get(node) or _lineage(call, scene.authority)
            found[node] = Reading(call, spec, EnergyFacts(call, spec, lineage, scene.authority))
    return found


def _lineage(call: ToolCall, authority: Authority) -> tuple[Lineage, ...]:
    """Where nobody traced the arguments: what the trusted side says of them."""
    found = []
    for leaf in leaves(call.arguments):
        origin = authority.find(leaf.value)
        argument = leaf.path.split("/")[1].replace("~1", "/").replace("~0", "~")
        trivial = leaf.value is None or isinstance(leaf.value, bool) or leaf.value == ""
        origins = (origin,) if origin is not None else ()
        found.append(Lineage(leaf.path, argument, leaf.value, origins, trivial))
    return tuple(found)


def goals_of(scene: Scene, draft: Draft, read: Mapping[str, Reading]) -> tuple[Wanted, ...]:
    """The goals of the instruction that a plan serves.

    Args:
        scene: what was authorised.
        draft: the original plan.
        read: its `readings`.
    """
    groups = tuple(_asked(scene, read))
    served = frozenset(node for nodes in groups for node in nodes)
    return (
        *(goal for nodes in groups for goal in _goals(nodes, read, draft)),
        *_unknown(scene, draft, read),
        *_delegated(scene, read),
        *_data(scene, draft, read, served),
    )


def unwanted(scene: Scene, draft: Draft) -> frozenset[str]:
    """Calls that change something and serve no goal: to mend one would serve whoever wants it."""
    read = readings(scene, draft)
    served = {node for goal in goals_of(scene, draft, read) for node in goal.nodes}
    return frozenset(node for node, one in read.items() if one.facts.acts and node not in served)


def _asked(scene: Scene, read: Mapping[str, Reading]) -> Iterator[tuple[str, ...]]:
    """Calls whose effect was asked for; those that do the same for strangers apart, if at all.

    Where strangers give the values of every call of an effect, the user still asked for it: any
    of them serves.
    """
    by_effect: dict[Effect, list[str]] = {}
    for node, one in read.items():
        if one.acts and (not scene.authority.sentences or one.facts.asked_itself):
            by_effect.setdefault(one.spec.profile.effect, []).append(node)
    for nodes in by_effect.values():
        own = [node for node in nodes if not read[node].led]
        if own or not scene.authority.sentences:
            yield from ((node,) for node in own or nodes)
        else:
            yield tuple(nodes)


def _unknown(scene: Scene, draft: Draft, read: Mapping[str, Reading]) -> Iterator[Wanted]:
    """Calls of unknown tools with a value that the user named; all where nothing was said."""
    for node, call in draft.plan.calls.items():
        if node in read:
            continue
        lineage = scene.lineages.get(node) or _lineage(call, scene.authority)
        if not scene.authority.sentences or any(leaf.named for leaf in lineage):
            yield Wanted("effect", (node,), None, VAGUE)


def _goals(nodes: tuple[str, ...], read: Mapping[str, Reading], draft: Draft) -> Iterator[Wanted]:
    first = read[nodes[0]]
    said = first.facts.names_it or any(leaf.named for leaf in first.where)
    yield Wanted("effect", nodes, None, EFFECT if said else VAGUE)
    if len(nodes) > 1:
        return
    units = [(leaf, _NAMED if leaf.named else _KNOWN) for leaf in first.where if not foreign(leaf)]
    total = sum(unit for _, unit in units)
    for leaf, unit in units:
        yield Wanted("value", nodes, leaf, VALUES * unit / total)
    names = first.spec.profile.content_args
    texts = [
        leaf
        for leaf in first.facts.lineage
        if leaf.argument in names and isinstance(leaf.value, str) and leaf.value
    ]
    fed = {edge.argument for edge in draft.plan.edges if edge.target == nodes[0] and edge.argument}
    sizes = [FLOWS_IN if leaf.path in fed else len(str(leaf.value)) for leaf in texts]
    for leaf, size in zip(texts, sizes, strict=True):
        yield Wanted("content", nodes, leaf, CONTENT * size / sum(sizes))


def _delegated(scene: Scene, read: Mapping[str, Reading]) -> Iterator[Wanted]:
    """Acts that nobody but a text that the user pointed to may have asked for."""
    for node, one in read.items():
        if scene.authority.delegations and one.acts and not one.facts.asked_itself:
            yield Wanted("effect", (node,), None, VAGUE)


def _data(
    scene: Scene, draft: Draft, read: Mapping[str, Reading], served: frozenset[str]
) -> Iterator[Wanted]:
    feeds: set[str] = set()
    queue = list(served)
    while queue:
        new = set(draft.plan.flows[queue.pop()]) - feeds
        feeds |= new
        queue += new
    for node, one in read.items():
        if one.acts:
            continue
        said = one.facts.names_it or any(leaf.named for leaf in one.where)
        if (said and not one.led) or not scene.authority.sentences:
            yield Wanted("data", (node,), None, DATA)
        elif node in feeds:
            yield Wanted("data", (node,), None, FEEDS)
