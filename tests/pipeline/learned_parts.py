"""Learned parts for tests: random scorers, judges and heads that say anything, small head files."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders.scorer_folder import read_scorer_folder
from gatling_guard.energy import TERMS, Energy, EnergyFacts, Share
from gatling_guard.energy.attribution import Attribution, Latents
from gatling_guard.energy.residual import FILE, Residual
from gatling_guard.energy.risk import RiskDefault
from gatling_guard.pipeline import LearnedParts
from gatling_guard.pipeline import learned as room
from gatling_guard.policy import EnergyBounds

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


class AnyJudge:
    """A judge that says one thing, or what a function makes of what it reads, and keeps that."""

    def __init__(self, says: float | Callable[[str, str, str], float] = 0.0) -> None:
        self.id, self._says = "judge-1", says
        self.read: list[tuple[str, str, str]] = []

    def judge(self, instruction: str, call: str, rival: str = "") -> float:
        """What it was told to say."""
        self.read.append((instruction, call, rival))
        return self._says if isinstance(self._says, float) else self._says(instruction, call, rival)

    def reading(self, message: str) -> NDArray[np.float32]:
        """Nothing."""
        return np.zeros(4, np.float32)


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
        self.factors: Mapping[str, float] = {}
        self.defaults: Mapping[str, RiskDefault] = {}

    def delegation(
        self, row: NDArray[np.float32], reading: NDArray[np.float32]
    ) -> tuple[float, float]:
        """Nobody knows."""
        return 0.0, 0.0

    def __call__(
        self, facts: EnergyFacts, attribution: Attribution | None, structure: Energy,
        latents: Latents | None = None, *, bounds: EnergyBounds, **_: object,
    ) -> tuple[Share, ...]:  # fmt: skip
        """What it was told to say."""
        self.seen.append(attribution)
        self.latents.append(latents)
        return tuple(self._says(facts))


def saying(values: Sequence[float], edge: tuple[str, str] | None = None) -> AnyHead:
    """A head that gives one share per term of these values, whatever the call."""
    return AnyHead(
        lambda facts: [
            Share(term, facts.call.node_id, value, "a head says so", "", edge, "learned")
            for term, value in zip(TERMS, values, strict=True)
        ]
    )


def random_parts(head: AnyHead | None = None, seed: int = 0, **more: Any) -> LearnedParts:
    """Parts of a random scorer."""
    return LearnedParts(RandomScorer(seed), head or AnyHead(), **more)


def head(
    curves: Mapping[str, Sequence[tuple[float, float]]], *, bias: float = 0.0,
    hold: float = 1.0, block: float = 3.0, may_block: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """One head as it stands in a file: its curves' points by feature, and its thresholds."""
    limits = {
        name: {"default": at, "lowest": at, "highest": at}
        for name, at in (("hold", hold), ("block", block))
    }
    rows = {name: {"points": [list(point) for point in points]} for name, points in curves.items()}
    return {"bias": bias, "curves": rows, "default": {**limits, "may_block": may_block}}


def heads_file(
    *, grey: tuple[float, float] = (1.0, -1.0), factors: Mapping[str, float] | None = None,
    **heads: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """A heads.json of these heads, by name."""
    return {"schema_version": 1, "grey": list(grey), "factors": factors or {}, "heads": heads}


def write_heads(folder: Path, content: Any) -> Path:
    """A folder of heads, as `training.heads` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / FILE).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"sha256": {FILE: digest}}))
    return folder


def residual(content: Any) -> Residual:
    """The heads of a file's content."""
    with tempfile.TemporaryDirectory() as folder:
        return Residual(write_heads(Path(folder), content))


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
    write_heads(folder / "heads-1", b"{}")
    patch.setattr(room, "PRETRAINED", folder)
    patch.setattr(room, "_kept", {})
    patch.setattr("gatling_guard.energy.residual.Residual", Heads)
    return folder
