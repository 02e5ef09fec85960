"""One split of a dataset, samples and items, without preparing the rest of it.

The split is that of `dataset`: what a model was trained on is never in its test split. Files are
read twice: which families may belong, then these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gatling_guard.errors import InputError, Issue
from gatling_guard.training.dataset import (
    Dataset,
    Item,
    Split,
    domain_of,
    hash_of,
    is_held_out,
    prepare,
    split_of,
)
from gatling_guard.training.sample import Sample, read_samples
from gatling_guard.training.validators import total_energy

Group = Literal["all", "families", "tools", "domains", "mutations"]
GROUPS: Mapping[Group, str] = {
    "all": "the whole split",
    "families": "new families, nothing else new",
    "tools": "the gold plan has a tool that training never saw",
    "domains": "of a domain that training never saw",
    "mutations": "violations of kinds that training never saw, beside their gold plans",
}


_SHOWN = 10
"""Bad lines named in one error."""


@dataclass(frozen=True, slots=True)
class Part:
    """One split of a dataset; B samples."""

    split: Split
    seed: int
    hash: str
    """SHA-256 of the files."""
    items: list[Item]
    texts: list[str]
    structure: NDArray[np.float64]
    """`[B]` structural energy, from what is known of every value (`validators`)."""
    bad: list[Issue]
    """Lines that were left out, with file and line."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """`[B]`: 0 gold, 1 boundary, 2 adversarial."""
        return np.array([item.label for item in self.items], np.int64)

    def rows(self, group: Group) -> NDArray[np.bool_]:
        """`[B]` which samples belong to a group of `GROUPS`."""
        if group == "all":
            return np.ones(len(self.items), np.bool_)
        found = {
            "tools": _families(self.items, lambda item: _any_held("tool", item.tools)),
            "domains": _families(self.items, lambda item: _any_held("domain", [item.domain])),
        }
        if group in found:
            return np.array([item.family in found[group] for item in self.items], np.bool_)
        new = np.array([_any_held("mutation", [item.mutation]) for item in self.items], np.bool_)
        if group == "mutations":
            with_new = {item.family for item, is_new in zip(self.items, new, strict=True) if is_new}
            gold = [item.label == 0 and item.family in with_new for item in self.items]
            return new | np.array(gold, np.bool_)
        unseen = found["tools"] | found["domains"]
        return ~new & np.array([item.family not in unseen for item in self.items], np.bool_)


def read_split(
    paths: Sequence[Path], split: Split, *, seed: int = 0, families: int | None = None
) -> Part:
    """Samples of one split.

    Args:
        paths: JSON lines, plain, `.xz` or `.gz`.
        split: which.
        seed: of the split: that of training.
        families: most families; which follows from their names. None: all.

    Raises:
        InputError: no usable sample, or none in that split; with the files.
        OSError: a file cannot be read.
    """
    bad: list[Issue] = []
    chosen = _chosen(paths, split, seed, families, bad)
    kept = [s for path in paths for s in read_samples(path, bad=[]) if s.family in chosen]
    found = prepare(kept, seed=seed, bad=bad) if kept else Dataset({split: []}, [])
    items = found.splits[split]
    if not items:
        named = ", ".join(map(str, paths))
        missing = Issue("", f"no samples in the {split} split; too few families?", file=named)
        raise InputError([*bad[:_SHOWN], missing], what="dataset")
    by_id = {sample.id: sample for sample in kept}
    structure = np.array([total_energy(by_id[item.id]) for item in items])
    return Part(split, seed, hash_of(paths), items, found.texts, structure, bad)


def _chosen(
    paths: Sequence[Path], split: Split, seed: int, families: int | None, bad: list[Issue]
) -> set[str]:
    """Families that may be in the split; `prepare` decides, which reads their plans."""
    found: set[str] = set()
    for sample in _every(paths, bad):
        if sample.family not in found and (
            split_of(sample.family, seed) == split or (split == "test" and _may_be_unseen(sample))
        ):
            found.add(sample.family)
    if families is None or len(found) <= families:
        return found
    return set(sorted(found, key=lambda name: _order(name, seed))[:families])


def _every(paths: Sequence[Path], bad: list[Issue]) -> Iterator[Sample]:
    for path in paths:
        yield from read_samples(path, bad=bad)


def _may_be_unseen(sample: Sample) -> bool:
    tools = [str(node.get("tool_name")) for node in sample.plan.get("nodes", ())]
    return _any_held("tool", tools) or _any_held("domain", [domain_of(sample)])


def _any_held(kind: Literal["tool", "domain", "mutation"], names: Iterable[str | None]) -> bool:
    return any(name is not None and is_held_out(kind, name) for name in names)


def _families(items: Sequence[Item], held: Callable[[Item], bool]) -> set[str]:
    """By the gold plan, where there is one: a twin may bring in an attacker's tool."""
    with_gold = {item.family for item in items if item.label == 0}
    return {
        item.family
        for item in items
        if held(item) and (item.label == 0 or item.family not in with_gold)
    }


def _order(family: str, seed: int) -> bytes:
    return hashlib.sha256(f"chosen/{seed}/{family}".encode()).digest()
