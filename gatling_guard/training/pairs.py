"""Pairs for the judge: does this instruction want this call, which such a text explains?

A pair is an instruction, a call and the untrusted text nearest to the call ("" without one); its
label says whether the call was an attacker's. Recorded and scenario rows give them as they are.
Besides, honest calls are put to another instruction of the same tools (`swapped`): nobody asked for
them there, and that needs no attack to be known.
Does not see: rows whose labels are a model's opinion, unless they are benign.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from gatling_guard.errors import InputError
from gatling_guard.training.items import CallView, Near, call_views
from gatling_guard.training.margins import auc
from gatling_guard.training.traces import NOISY, LabelledTrace

SHARES: Mapping[str, float] = MappingProxyType({
    "scenarios": 5.0, "agentdojo_banking_slack": 1.5, "agentdojo_oracle_banking_slack": 0.5,
    "bfcl": 0.8, "tau_bench": 0.5, "seal_tools": 0.4, "toolemu_runs": 0.3, "api_bank": 0.2,
})  # fmt: skip
"""How often each source is drawn in training, relative to the others."""
HELD_WORLDS = frozenset({
    "city-library", "crm-sales", "household-assistant", "inbox-and-calendar", "phone-assistant",
    "recruiter-desk", "school-admin", "security-operations", "software-user",
})  # fmt: skip
"""Worlds of the scenarios that no scorer is trained on: the heads are fitted on them."""
SWAP_WEIGHT = 0.5
"""Of a swapped pair: some calls (a note, a look-up) fit another instruction as well."""
ALIKE = 0.75
"""Cosine from which on two instructions may well want the same call."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One question to the judge, and its answer."""

    instruction: str
    call: str
    rival: str
    malicious: bool
    weight: float
    source: str
    group: str


def trained_on(key: str) -> bool:
    """Whether a benign row of a large source trains the judge; the others are for the heads."""
    return hashlib.sha256(f"pairs/{key}".encode()).digest()[0] % 2 == 0


def pairs_of(
    rows: Iterable[LabelledTrace], *, near: Near, seed: int, honest: int = 6, malicious: int = 4
) -> list[Pair]:
    """Pairs of all rows, each once.

    Args:
        rows: labelled rows; of noisy sources only the benign ones count.
        near: chooses the text that explains a call, and instructions that are alike.
        seed: of the choice of calls and of other instructions.
        honest: most honest calls of one row.
        malicious: most malicious ones.
    """
    rows = list(rows)
    wanted: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.trace.instruction.strip():
            wanted.setdefault(row.suite, {})[row.trace.instruction.strip()] = None
    others = {suite: list(said) for suite, said in wanted.items()}
    found: dict[tuple[str, str, str], Pair] = {}
    for row in rows:
        rng = random.Random(f"{seed}/pairs/{row.trace.id}")
        for pair in _row_pairs(row, others.get(row.suite, []), near, rng, (honest, malicious)):
            found.setdefault((pair.instruction, pair.call, pair.rival), pair)
    return list(found.values())


def _row_pairs(
    row: LabelledTrace, others: Sequence[str], near: Near, rng: random.Random,
    most: tuple[int, int],
) -> Iterator[Pair]:  # fmt: skip
    instruction = row.trace.instruction.strip()
    benign = row.trace.label == "benign"
    if not instruction or (row.source in NOISY and not benign):
        return
    left = {False: most[0], True: most[1]}
    views = [view for view in call_views(row) if view.effect]
    rng.shuffle(views)
    for view in views:
        malicious = view.malicious is True
        if (not malicious and not benign) or left[malicious] <= 0:
            continue
        left[malicious] -= 1
        rival = next(iter(near(view.call, view.spans, 1)), "")
        yield Pair(instruction, view.call, rival, malicious, 1.0, row.source, row.suite)
        if not malicious and len(others) > 3:
            yield from _swapped(row, view, rival, others, near, rng)


def _swapped(
    row: LabelledTrace, view: CallView, rival: str, others: Sequence[str], near: Near,
    rng: random.Random,
) -> Iterator[Pair]:  # fmt: skip
    """The honest call under another instruction of the same tools, half of them near ones."""
    instruction = row.trace.instruction.strip()
    if rng.random() < 0.5:
        chosen = near(instruction, others, 12)
    else:
        chosen = rng.sample(list(others), min(8, len(others)))
    chosen = [text for text in chosen if near.cosine(instruction, text) < ALIKE]
    if chosen:
        other = rng.choice(chosen)
        shown = rival if rng.random() < 0.8 else ""
        yield Pair(other, view.call, shown, True, SWAP_WEIGHT, row.source, row.suite)


class Pools:
    """Pairs by source and label, to draw batches from."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        """Sorts them into their pools.

        Raises:
            InputError: there are none.
        """
        if not pairs:
            raise InputError("there are none to draw from", what="pairs")
        self._kinds: dict[tuple[str, bool], list[Pair]] = {}
        for pair in pairs:
            self._kinds.setdefault((pair.source, pair.malicious), []).append(pair)
        self._sources = sorted({source for source, _ in self._kinds})
        self._weights = [SHARES.get(source, 0.5) for source in self._sources]

    def draw(self, count: int, rng: random.Random) -> list[Pair]:
        """A batch: sources by `SHARES`, of each as many honest as malicious pairs.

        A source with one label only gives that one.
        """
        found = []
        for source in rng.choices(self._sources, self._weights, k=count):
            malicious = rng.random() < 0.5
            pool = self._kinds.get((source, malicious)) or self._kinds[source, not malicious]
            found.append(rng.choice(pool))
        return found


def pairs_digest(pairs: Iterable[Pair]) -> str:
    """SHA-256 (hex) of pairs in their order: what a manifest says the judge was trained on."""
    data = hashlib.sha256()
    for pair in pairs:
        data.update(json.dumps(asdict(pair), sort_keys=True).encode())
    return data.hexdigest()


def judge_auc(scores: ArrayLike, pairs: Sequence[Pair]) -> float:
    """AUC of malicious against honest pairs."""
    truth = np.array([pair.malicious for pair in pairs], np.bool_)
    return float(auc(np.asarray(scores, np.float64), truth))
