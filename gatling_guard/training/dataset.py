"""Samples prepared once and split by family.

Parsing a plan and taking its features costs a hundred times as much as using them, so an item keeps
arrays: the calls' features, the entries of policy and context, the ancestry. Equal calls, policies
and contexts are kept once (the twins of a family share most of theirs): some 3 KB per distinct
call. Texts are numbered once for the whole dataset.

Sees the fields of a sample but `energy` and `negatives`: the labels and the family say as much.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatling_guard.catalog.build import Parts, build
from gatling_guard.catalog.types import ToolSpec
from gatling_guard.encoders.calls import CallFeatures
from gatling_guard.encoders.graph import Ancestry
from gatling_guard.encoders.plans import prepared
from gatling_guard.encoders.tree import Entries, context_entries, policy_entries, text_table
from gatling_guard.energy import TERMS
from gatling_guard.errors import InputError, Issue
from gatling_guard.plan import parse_plan
from gatling_guard.training.as_served import as_served, has_inferred, is_served
from gatling_guard.training.facts import lineages
from gatling_guard.training.sample import LABELS, Sample, read_samples

Split = Literal["train", "validation", "test"]
T = TypeVar("T")

HELD_OUT = {"tool": 0.02, "domain": 0.08, "mutation": 0.15}
"""Shares of names that training never sees. A plan has several tools, so 2 % of the tools take
some 8 % of the families."""
_SHOWN = 10
"""Bad samples named in one error."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A text that an output brought in: another explanation of the calls after it (P3)."""

    entries: Entries
    """As a session context whose instruction it is."""
    after: int
    """Position of the call that returned it."""
    goal_of: frozenset[int]
    """Positions of the calls that it asked for."""
    authority: bool
    """The user or a grant lets it direct."""


@dataclass(frozen=True, slots=True)
class Item:
    """One sample as arrays; n calls in topological order."""

    id: str
    family: str
    label: int
    """0 gold, 1 boundary, 2 adversarial."""
    mutation: str | None
    violates: tuple[bool, ...]
    """By term, in the order of `energy.TERMS`."""
    policy: Entries
    context: Entries
    policy_id: int
    """Equal for equal policy and role."""
    authority: int
    """Equal for equal policy, role and context: their plans are no negatives of one another."""
    calls: tuple[CallFeatures, ...]
    graph: Ancestry
    call_ids: NDArray[np.int64]
    """`[n]`, equal for calls with equal features."""
    plan_id: int
    """Equal for plans with equal calls and edges."""
    rivals: tuple[Rival, ...]
    tools: frozenset[str]
    domain: str | None


@dataclass(slots=True)
class Dataset:
    """Items by split, the texts they refer to, and what could not be read."""

    splits: dict[Split, list[Item]]
    texts: list[str]
    """Every text by its number; number 0 is empty."""
    bad: list[Issue] = field(default_factory=list)
    """Lines that were left out, with file and line."""
    hash: str | None = None
    """SHA-256 of the files."""
    left_out: int = 0
    """Samples of training and validation families whose mutation is held out."""
    invisible: int = 0
    """Twins left out because nothing that an encoder sees tells them from their gold plan."""

    def held_out(self, kind: Literal["tool", "domain", "mutation"]) -> list[Item]:
        """The test items of which training saw no such tool, domain or mutation."""
        return [item for item in self.splits["test"] if _held(kind, item)]


def load(paths: Sequence[Path], *, seed: int = 0, strict: bool = False) -> Dataset:
    """Read and prepare files of JSON lines (plain, `.xz`, `.gz`), one line at a time.

    Args:
        paths: the files.
        seed: of the split.
        strict: the first bad line is an error; otherwise bad lines are left out and told.

    Raises:
        InputError: no samples, or with `strict` a bad line, with file and line.
    """
    bad: list[Issue] = []

    def samples() -> Iterator[Sample]:
        for path in paths:
            yield from read_samples(path, bad=None if strict else bad)

    found = prepare(samples(), seed=seed, bad=None if strict else bad)
    found.bad = bad
    found.hash = hash_of(paths)
    return found


def hash_of(paths: Sequence[Path]) -> str:
    """SHA-256 of files."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def prepare(samples: Iterable[Sample], *, seed: int = 0, bad: list[Issue] | None = None) -> Dataset:
    """Prepare samples and split them.

    Args:
        samples: in any order.
        seed: of the split.
        bad: takes up the faults of samples that cannot be used; None: the first is an error.

    Raises:
        InputError: a sample cannot be used, or none can.
    """
    maker = _Maker()
    found = Dataset({"train": [], "validation": [], "test": []}, [])
    families: dict[str, list[Item]] = {}
    for sample in samples:
        try:
            item = maker.item(sample)
        except InputError as error:
            if bad is None:
                raise
            bad += [Issue(f"{sample.id}{i.where}", i.message, i.file, i.line) for i in error.issues]
        else:
            families.setdefault(sample.family, []).append(item)
    for family, items in families.items():
        seen = _seen(items)
        found.invisible += len(items) - len(seen)
        items = seen
        split: Split = "test" if _unseen(items) else split_of(family, seed)
        kept = items
        if split != "test":
            kept = [item for item in items if not _held("mutation", item)]
            found.left_out += len(items) - len(kept)
        found.splits[split] += kept
    if not families:
        raise InputError([*(bad or ())[:_SHOWN], Issue("", "no usable sample")], what="dataset")
    found.texts = list(maker.texts)
    return found


def split_of(family: str, seed: int = 0) -> Split:
    """80/10/10 by a hash of the family: the same in every process and for any order (R67)."""
    at = _share(f"split/{seed}/{family}")
    return "train" if at < 0.8 else "validation" if at < 0.9 else "test"


def is_held_out(kind: Literal["tool", "domain", "mutation"], name: str) -> bool:
    """Whether training never sees this name; by its hash, so that the list never changes."""
    return _share(f"held-out/{kind}/{name}") < HELD_OUT[kind]


def domain_of(sample: Sample) -> str | None:
    """What the sample is about, where its source says so: `gold/calendar`, `synthetic:database`."""
    return next((part for part in re.split("[:/]", sample.source, maxsplit=1)[1:] if part), None)


def _share(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2.0**64


def _held(kind: Literal["tool", "domain", "mutation"], item: Item) -> bool:
    if kind == "tool":
        return any(is_held_out("tool", name) for name in item.tools)
    name = item.domain if kind == "domain" else item.mutation
    return name is not None and is_held_out(kind, name)


def _seen(items: Sequence[Item]) -> list[Item]:
    """Without violations that look exactly like what the same authority allows."""
    gold = {(item.authority, item.plan_id) for item in items if item.label == 0}
    return [i for i in items if i.label == 0 or (i.authority, i.plan_id) not in gold]


def _unseen(items: Sequence[Item]) -> bool:
    """By the gold plan, where there is one: a twin may bring in an attacker's tool."""
    gold = [item for item in items if item.label == 0] or items
    return any(_held("tool", item) or _held("domain", item) for item in gold)


def tool_specs(
    tools: Mapping[str, Mapping[str, Any]], *, inferred: bool = False
) -> dict[str, ToolSpec]:
    """The tools of a sample as specs; a tool that was seen before is not built again.

    Args:
        tools: by name.
        inferred: leave declared profiles out.

    Raises:
        InputError: a description, schema or profile that cannot be.
    """
    hidden = {"profile": None} if inferred else {}
    return {
        name: _spec(name, json.dumps({**raw, **hidden}, sort_keys=True))
        for name, raw in tools.items()
    }


@lru_cache(maxsize=65_536)
def _spec(name: str, text: str) -> ToolSpec:
    raw = json.loads(text)
    parts = Parts(name, raw.get("description"), raw.get("parameters"))
    declared = raw.get("profile") or {}
    return build(parts, {key: value for key, value in declared.items() if key != "basis"})


class _Maker:
    """Samples -> items; equal parts are made once."""

    def __init__(self) -> None:
        self.texts = text_table()
        self._policies: dict[str, tuple[int, Entries]] = {}
        self._contexts: dict[str, tuple[int, Entries]] = {}
        self._calls: dict[int, CallFeatures] = {}

    def item(self, sample: Sample) -> Item:
        governance = sample.governance
        policy, role = governance.get("policy"), governance.get("role")
        context = _context(governance.get("context"))
        policy_id, policy_rows = _once(
            self._policies, [policy, role], lambda: policy_entries(policy, role, self.texts)
        )
        _, context_rows = self._context(role, context)
        plan = parse_plan(sample.plan)
        specs = tool_specs(sample.tools, inferred=has_inferred(sample.family))
        lineage = lineages(plan.calls, sample.facts)
        if is_served(sample.family):
            plan = as_served(plan, specs, lineage)
        made = prepared(plan, specs.get, lineage)
        calls = [(_call_id(call), call) for call in made.calls]
        call_ids = np.array([number for number, _ in calls], np.int64)
        edges = [sorted(sources.items()) for sources in made.graph.direct]
        return Item(
            id=sample.id,
            family=sample.family,
            label=LABELS.index(sample.label),
            mutation=sample.mutation,
            violates=tuple(term in sample.violates for term in TERMS),
            policy=policy_rows,
            context=context_rows,
            policy_id=policy_id,
            authority=_number([policy, role, context]),
            calls=tuple(self._calls.setdefault(number, call) for number, call in calls),
            graph=made.graph,
            call_ids=call_ids,
            plan_id=_number([call_ids.tolist(), edges]),
            rivals=tuple(self._rivals(sample.texts, list(plan.order), role)),
            tools=frozenset(call.tool_name for call in plan.nodes),
            domain=domain_of(sample),
        )

    def _context(self, role: str | None, context: Mapping[str, Any]) -> tuple[int, Entries]:
        return _once(
            self._contexts, [role, context], lambda: context_entries(role, context, self.texts)
        )

    def _rivals(
        self, texts: Sequence[Mapping[str, Any]], order: list[str], role: str | None
    ) -> Iterator[Rival]:
        place = {node: i for i, node in enumerate(order)}
        for i, text in enumerate(texts):
            unknown = [n for n in (text["node"], *text.get("goal_of", ())) if str(n) not in place]
            if unknown:
                raise InputError([Issue(f"/texts/{i}", f"no node {unknown[0]!r}")], what="sample")
            goal = frozenset(place[str(node)] for node in text.get("goal_of", ()))
            _, rows = self._context(role, {"instruction": text["text"]})
            yield Rival(rows, place[str(text["node"])], goal, bool(text.get("authority")))


def _context(raw: object) -> dict[str, Any]:
    """A context in the keys that the encoder knows."""
    context = {"instruction": raw} if isinstance(raw, str) else dict(raw or {})  # type: ignore[call-overload]
    earlier = context.pop("earlier", None)
    return {**context, "earlier_turns": earlier} if earlier else context


def _once(kept: dict[str, tuple[int, T]], content: object, make: Any) -> tuple[int, T]:
    key = json.dumps(content, sort_keys=True, default=str)
    if key not in kept:
        kept[key] = (len(kept), make())
    return kept[key]


def _number(content: object) -> int:
    text = json.dumps(content, sort_keys=True, default=str)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _call_id(call: CallFeatures) -> int:
    digest = hashlib.sha256(repr((call.name, call.description, call.keys, call.texts)).encode())
    digest.update(call.scalars.tobytes())
    digest.update(call.leaves.tobytes())
    return int.from_bytes(digest.digest()[:8], "big", signed=True)
