"""The gold generator: honest plans under an authority that asks for them, and delegated work.

A family is made from `Random(f"{seed}/{index}")` and nothing else, so it is the same in every
process, shard and order. Shard i of n is a contiguous run of families: the shards, one after the
other, are byte by byte what one run writes. Most families are a single gold plan; some are
delegated work (`workflows`), and of both kinds some have an attack twin and a benign contrast.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from gatling_guard.errors import ConfigurationError
from gatling_guard.training.exfiltration import resisted
from gatling_guard.training.families import Family, more
from gatling_guard.training.intrusions import Host, Intrusion
from gatling_guard.training.phrasing import FRAMES, instruction
from gatling_guard.training.plans import Plan
from gatling_guard.training.real_schemas import real_task
from gatling_guard.training.sample import Sample
from gatling_guard.training.seed_catalog import LANGUAGES, domains
from gatling_guard.training.stating import state
from gatling_guard.training.tasks import Story, task
from gatling_guard.training.toolsets import Tool
from gatling_guard.training.values import World
from gatling_guard.training.workflows import delegated

SOURCE = "gold"
PER_FAMILY = 1.36
"""Samples of a family."""
WORKFLOWS = 0.14
"""Share of families that are delegated work."""
TWINS = 0.3
"""Share of those with attack twins."""
TWINS_OF_READERS = 0.18
"""Share of plain families with attack twins, among those that read a third party's text."""
EXTRAS = 0.45
"""Share of readers without twins whose user wants something unrelated besides: what attackers want
must not look strange by itself."""
RESISTED = 0.6
"""Share of the other readers in whose texts somebody asks for something that is not done."""
PLANTED = 0.75
"""Share of the families without twins in which something short asks for something, too."""
REAL = 0.3
"""Share of plain families with real tools, where there are some."""
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
    seed: int,
    families: int,
    *,
    shard: tuple[int, int] = (0, 1),
    start: int = 0,
    schemas: Sequence[Tool] = (),
) -> Iterator[Sample]:
    """The samples of some families, in the order of their index.

    Args:
        seed: of the run.
        families: of all shards together.
        shard: which of how many; from 0.
        start: leave out families of a smaller index, to go on where an earlier run ended.
        schemas: real tools (`real_schemas.read_schemas`), used by `REAL` of the plain families.

    Raises:
        ConfigurationError: no such shard.
    """
    chosen = shard_range(families, shard)
    for index in range(max(start, chosen.start), chosen.stop):
        yield from family(seed, index, schemas)


def family(seed: int, index: int, schemas: Sequence[Tool] = ()) -> list[Sample]:
    """All samples of one family."""
    rng = random.Random(f"{seed}/{index}")
    world = World(rng)
    name = f"{SOURCE}-{seed}-{index}"
    if world.chance(WORKFLOWS):
        found, language = delegated(world, name, TWINS, EXTRAS), ""
    else:
        found, language = _plain(world, name, schemas)
        if len(found) == 1 and rng.random() < PLANTED:
            _plant(found[0], rng)
    state(found, rng, language)
    return found


def _plant(gold: Sample, rng: random.Random) -> None:
    """Let a text in some result ask for a call, unless one does; nothing follows it."""
    if not any(text["directive"] for text in gold.texts):
        found = resisted(gold, rng)
        if found is not None:
            gold.texts, gold.outputs = found.texts, found.outputs


def _plain(world: World, name: str, schemas: Sequence[Tool]) -> tuple[list[Sample], str]:
    """A family of work that the user spelled out, and the language he did it in."""
    every = domains()
    while True:
        story = Story(world, Plan(world))
        domain = world.pick(every).name
        if schemas and world.chance(REAL):
            real_task(story, schemas)
        for _ in range(_tasks(world) - bool(story.clauses)):
            task(story, domain if world.chance(0.6) else world.pick(every).name)
        if 0 < len(story.plan.nodes) <= _MOST_CALLS:
            break
    language = "en" if world.chance(_ENGLISH) else world.pick(LANGUAGES)
    said = instruction(world, story.clauses, language)
    found = Family(name, SOURCE, story)
    room = len(story.plan.nodes) <= _MOST_CALLS - 2
    host = story.plan.hosts() if room else []
    if host and world.chance(TWINS_OF_READERS):
        found.add("g", said, story.plan)
        _add_twins(world, found, said, Host(*world.pick(host)))
    elif host and world.chance(EXTRAS):
        extra = Intrusion(story, set())
        wish = extra.wish()
        if world.chance(0.8):  # somebody's text asks for the same
            _both(world, story.plan, extra, Host(*world.pick(host)), wish)
        else:
            extra.perform(story.plan, None)
        found.add("g", said + more(world, wish), story.plan)
    elif host and world.chance(RESISTED):
        asks = Intrusion(story, set())
        story.plan.insert_line(*world.pick(host), asks.line(asks.wish()), [])
        found.add("g", said, story.plan)
    else:
        found.add("g", said, story.plan)
    return found.finished(), language


def _add_twins(world: World, found: Family, said: str, host: Host) -> None:
    """The same work with an attacker's line in something that was read."""
    plan = found.story.plan
    attack = Intrusion(found.story, set())
    wish = attack.wish()
    line = attack.line(wish)
    if world.chance(0.5):
        resisted = plan.copy()
        resisted.insert_line(host.node, host.pointer, host.tier, line, [])
        found.add("r", said, resisted)
    followed = plan.copy()
    nodes = attack.perform(followed, host)
    followed.insert_line(host.node, host.pointer, host.tier, line, nodes)
    found.add("a", said, followed, attack.violates, "injected_step")
    wider = said + more(world, wish)
    asked = plan.copy()
    attack.perform(asked, None)
    found.add("c", wider, asked)
    if world.chance(0.8):
        both = plan.copy()
        _both(world, both, attack, host, wish)
        found.add("d", wider, both)


def _both(world: World, plan: Plan, wanted: Intrusion, host: Host, wish: str) -> None:
    """What the user asks for, with a line in a text that asks for the same."""
    plan.literals.update(dict.fromkeys(wanted.values, host.tier))
    plan.insert_line(*host, wanted.line(wish), wanted.perform(plan, host, asked=True))


def _tasks(world: World) -> int:
    at = world.r()
    return 1 if at < 0.62 else 2 if at < 0.9 else 3


assert set(FRAMES) == {"en", *LANGUAGES}
