"""Items grouped into batches: families whole, little padding, no equal authority twice.

Sees families, authorities and lengths; what stands in a batch is made by `collate`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from gatling_guard.training.dataset import Item

_OPEN = 8
"""Batches filled at the same time: where an equal authority keeps a family out of one, it goes
into another."""
_WINDOW = 64
"""Batches' worth of families sorted by length together: little padding, and still shuffled."""


def batches(items: Sequence[Item], size: int, *, seed: str) -> list[list[Item]]:
    """Items in batches of about `size`: families whole, no equal authority twice where avoidable.

    A family of more than `size` comes in parts, each with its gold samples (R66). Batches that
    remain small are joined, equal authorities or not: the losses mask them.

    Args:
        items: of one split.
        size: most items of a batch.
        seed: of the order, e.g. `0/epoch/3`.
    """
    rng = random.Random(seed)
    groups = [part for family in _families(items) for part in _parts(family, size)]
    rng.shuffle(groups)
    window = max(1, _WINDOW * size // max(1, round(len(items) / max(1, len(groups)))))
    done: list[list[Item]] = []
    for start in range(0, len(groups), window):
        by_length = sorted(
            groups[start : start + window], key=lambda g: max(len(i.calls) for i in g)
        )
        done += _packed(by_length, size)
    rng.shuffle(done)
    return done


def _families(items: Sequence[Item]) -> list[list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.family, []).append(item)
    return list(found.values())


def _parts(family: list[Item], size: int) -> list[list[Item]]:
    if len(family) <= size:
        return [family]
    gold = [item for item in family if item.label == 0][: size // 2]
    rest = [item for item in family if item not in gold]
    step = size - len(gold)
    return [gold + rest[i : i + step] for i in range(0, len(rest), step)]


def _packed(groups: Sequence[list[Item]], size: int) -> list[list[Item]]:
    done: list[list[Item]] = []
    filling: list[tuple[list[Item], set[int]]] = []
    for group in groups:
        ids = {item.authority for item in group}
        for batch, known in filling:
            if len(batch) + len(group) <= size and not known & ids:
                batch += group
                known |= ids
                break
        else:
            filling.append(([*group], ids))
            if len(filling) > _OPEN:
                fullest = max(range(len(filling)), key=lambda i: len(filling[i][0]))
                done.append(filling.pop(fullest)[0])
    small: list[Item] = []
    for batch, _ in filling:
        if 2 * len(batch) > size:
            done.append(batch)
        elif len(small) + len(batch) <= size:
            small += batch
        else:
            done.append(small)
            small = batch
    if small and done and len(done[-1]) + len(small) <= 3 * size // 2:
        done[-1] += small
    elif small:
        done.append(small)
    return done
