"""Learned parts for tests: scorers of random rows, and heads that say anything."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gatling_guard.encoders.scorer_folder import read_scorer_folder
from gatling_guard.energy import TERMS, Energy, EnergyFacts, Share
from gatling_guard.energy.attribution import Attribution, Latents
from gatling_guard.pipeline import LearnedParts
from gatling_guard.pipeline import learned as room

DIM = 16


class RandomScorer:
    """A row per text, drawn from the text and a seed. Counts what it embeds."""

    def __init__(self, seed: int = 0, name: str = "random") -> None:
        self.id, self.seed = f"{name}-{seed}", seed
        self.read: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """`[n, DIM]`."""
        self.read += texts
        rows = [self._row(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, DIM), np.float32)

    embed_calls = embed_texts

    def _row(self, text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        digest = hashlib.sha256(f"{self.seed}/{text}".encode()).digest()
        row = np.random.default_rng(list(digest)).normal(size=DIM).astype(np.float32)
        return row / np.float32(np.linalg.norm(row))


class AnyHead:
    """A head that gives the shares of a function, and keeps what it was shown."""

    def __init__(
        self,
        says: Callable[[EnergyFacts], Sequence[Share]] = lambda facts: (),
        grey: tuple[float, float] = (1.0, -1.0),
    ) -> None:
        self.id, self.grey, self._says = "any-1", grey, says
        self.seen: list[Attribution | None] = []
        self.latents: list[Latents | None] = []

    def __call__(
        self, facts: EnergyFacts, attribution: Attribution | None, structure: Energy,
        latents: Latents | None = None,
    ) -> tuple[Share, ...]:  # fmt: skip
        """What it was told to say."""
        self.seen.append(attribution)
        self.latents.append(latents)
        return tuple(self._says(facts))


def saying(values: Sequence[float], edge: tuple[str, str] | None = None) -> AnyHead:
    """A head that gives one share per term of these values, whatever the call."""
    return AnyHead(
        lambda facts: [
            Share(term, facts.call.node_id, value, "a head says so", "", edge)
            for term, value in zip(TERMS, values, strict=True)
        ]
    )


def random_parts(head: AnyHead | None = None, seed: int = 0, **more: Any) -> LearnedParts:
    """Parts of a random scorer."""
    return LearnedParts(RandomScorer(seed), head or AnyHead(), **more)


def installed(
    folder: Path, patch: Any, *, grey: tuple[float, float] = (1.0, -1.0), fitted_on: str = ""
) -> Path:
    """An installation with heads that say nothing: a copy of what ships, that a test may damage."""

    class Heads(AnyHead):
        @classmethod
        def from_pretrained(cls, where: Path) -> Heads:
            read_scorer_folder(where, ("heads.json",))
            return cls(grey=grey)

    Heads.fitted_on = (fitted_on,) if fitted_on else ()  # type: ignore[attr-defined]
    for name in ("text-1", "scorer-1"):
        shutil.copytree(room.PRETRAINED / name, folder / name)
    heads = folder / "heads-1"
    heads.mkdir()
    data = b"{}"
    (heads / "heads.json").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (heads / "manifest.json").write_text(json.dumps({"sha256": {"heads.json": digest}}))
    patch.setattr(room, "PRETRAINED", folder)
    patch.setattr(room, "_kept", {})
    patch.setattr("gatling_guard.energy.residual.Residual", Heads)
    return folder
