"""The gold generator: honest plans under an authority that asks for them, and delegated work.

A family is made from `Random(f"{seed}/{index}")` and nothing else, so it is the same in every
process, shard and order. Shard i of n is a contiguous run of families: the shards, one after the
other, are byte by byte what one run writes. Nine families in ten are a single gold plan; the
others are delegated work (`workflows`) with an attack twin and a benign contrast.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from gatling_guard.errors import ConfigurationError
from gatling_guard.training.phrasing import FRAMES, earlier_turns, instruction
from gatling_guard.training.plans import Json, Plan
from gatling_guard.training.policies import policy
from gatling_guard.training.sample import Sample
from gatling_guard.training.seed_catalog import LANGUAGES, domains, words
from gatling_guard.training.tasks import Story, task
from gatling_guard.training.toolsets import Tool
from gatling_guard.training.values import World
from gatling_guard.training.workflows import delegated

SOURCE = "gold"
WORKFLOWS = 0.1
"""Share of families that are delegated work."""
_ENGLISH = 0.72
_MOST_CALLS = 20


def shard_range(families: int, shard: tuple[int, int]) -> range:
    """The families of one shard of several.

    Raises:
        ConfigurationError: no such shard.
    """
    i, n = shard
    if families < 0 or not 0 <= i < n:
        raise ConfigurationError(f"no shard {i} of {n} over {families} families")
    return range(families * i // n, families * (i + 1) // n)


def generate(
    seed: int, families: int, *, shard: tuple[int, int] = (0, 1), start: int = 0
) -> Iterator[Sample]:
    """The samples of some families, in the order of their index.

    Args:
        seed: of the run.
        families: of all shards together.
        shard: which of how many; from 0.
        start: leave out families of a smaller index, to go on where an earlier run ended.

    Raises:
        ConfigurationError: no such shard.
    """
    chosen = shard_range(families, shard)
    for index in range(max(start, chosen.start), chosen.stop):
        yield from family(seed, index)


def family(seed: int, index: int) -> list[Sample]:
    """All samples of one family."""
    world = World(random.Random(f"{seed}/{index}"))
    name = f"{SOURCE}-{seed}-{index}"
    return _delegated(world, name) if world.chance(WORKFLOWS) else [_plain(world, name)]


def _delegated(world: World, name: str) -> list[Sample]:
    work, samples, requests = delegated(world, name)
    shared = governance(world, work.story, "", work.terms)
    for sample in samples:
        said = {**shared["context"], "instruction": requests[sample.id]}
        sample.governance = {**shared, "context": said}
        sample.tools = work.story.plan.tools
    return samples


def _plain(world: World, name: str) -> Sample:
    every = domains()
    while True:
        story = Story(world, Plan(world))
        domain = world.pick(every).name
        for _ in range(_tasks(world)):
            task(story, domain if world.chance(0.6) else world.pick(every).name)
        if len(story.plan.nodes) <= _MOST_CALLS:
            break
    language = "en" if world.chance(_ENGLISH) else world.pick(LANGUAGES)
    said = instruction(world, story.clauses, language)
    return finished(world, name, "g", story, said, governance(world, story, said))


def _tasks(world: World) -> int:
    at = world.r()
    return 1 if at < 0.62 else 2 if at < 0.9 else 3


def governance(world: World, story: Story, said: str, grant: Json | None = None) -> Json:
    """Policy, role and context under which a story's plan is in order."""
    role = world.pick(words("roles"))
    plan = story.plan
    others = distractors(world, story)
    most = max([call.get("volume", 0) or 0 for call in plan.nodes] + [_largest(plan)])
    found = policy(world, role, plan.tools, others, most, grant)
    earlier = earlier_turns(world) if world.chance(0.15) else []
    for tool in others:
        plan.tools[tool.name] = tool.entry
    return {
        "policy": found,
        "role": role if world.chance(0.85) else None,
        "context": {"instruction": said, "earlier": earlier},
    }


def _largest(plan: Plan) -> int:
    return max(
        (v for call in plan.nodes for v in call["arguments"].values() if type(v) is int), default=0
    )


def distractors(world: World, story: Story) -> list[Tool]:
    """Tools that the same user has and this plan does not need."""
    found = []
    for toolset in list(story.chosen.values())[:2]:
        tool = world.pick(list(toolset.tools.values()))
        if tool.name not in story.plan.tools:
            found.append(tool)
    return found


def finished(
    world: World, name: str, mark: str, story: Story, said: str, authority: Json
) -> Sample:
    """A gold sample of a story's plan."""
    plan = story.plan
    return Sample(
        id=f"{name}/{mark}",
        family=name,
        source=SOURCE,
        label="gold",
        plan={"nodes": plan.nodes, "edges": plan.edges},
        governance=authority,
        tools=plan.tools,
        facts=plan.facts,
        texts=plan.texts,
        outputs=plan.outputs,
    )


assert set(FRAMES) == {"en", *LANGUAGES}
