"""Messages of users, and how far each leaves it to texts of others what is to be done.

Hand-written lists (`instructions/*.yaml`: `own`, `values`, `open`), the instructions of the
scenarios, and, with little weight, those of benign recorded runs: hardly anybody delegates there.
Does not see: tools and outputs.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from gatling_guard.errors import InputError
from gatling_guard.training.pairs import HELD_WORLDS
from gatling_guard.training.scenario_files import read_worlds

FOLDER = Path(__file__).with_name("instructions")
READOUT = (FOLDER, FOLDER / "readout")
"""What the heads' readout is fitted on: also errands that only lead through others' texts."""
KINDS: Mapping[str, tuple[float, float]] = {
    "own": (0.0, 0.0), "values": (1.0, 0.0), "open": (1.0, 1.0),
}  # fmt: skip
"""By key of a list: whether somebody's text gives values, and whether it gives what to do."""
UNKNOWN = -1.0
"""In place of a label that nobody gave."""
RECORDED_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Told:
    """One message and its labels."""

    text: str
    values: float
    """1 where parties, amounts or things stand in somebody's text."""
    effects: float
    """1 where what is to be done stands there, `UNKNOWN` where nobody said."""
    weight: float = 1.0
    held: bool = False
    """Kept out of training, to watch with."""


def told(recorded: Iterable[str] = (), folders: Sequence[Path] = (FOLDER,)) -> list[Told]:
    """All messages, each once.

    Args:
        recorded: instructions of benign recorded runs.
        folders: of the lists.

    Raises:
        InputError: a list is of another form; the message names file and key.
    """
    found: dict[str, Told] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.yaml"))):
        for kind, text in _listed(path):
            found.setdefault(text, Told(text, *KINDS[kind], held=_held(text)))
    for world in read_worlds():
        for scenario in world.scenarios:
            text = scenario.instruction.strip()
            labels = (1.0, UNKNOWN) if scenario.delegated else (0.0, 0.0)
            found.setdefault(text, Told(text, *labels, held=world.name in HELD_WORLDS))
    for text in recorded:
        if text.strip():
            found.setdefault(text.strip(), Told(text.strip(), 0.0, 0.0, RECORDED_WEIGHT))
    return list(found.values())


def _listed(path: Path) -> Iterable[tuple[str, str]]:
    value = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict) or set(value) - set(KINDS):
        raise InputError(f"expected lists {', '.join(KINDS)}", what=str(path))
    for kind, texts in value.items():
        if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts):
            raise InputError(f"{kind}: expected a list of texts", what=str(path))
        yield from ((kind, text.strip()) for text in texts)


def _held(text: str) -> bool:
    """One in eight."""
    return hashlib.sha256(f"told/{text}".encode()).digest()[0] % 8 == 0


def drawn(messages: Sequence[Told], count: int, rng: random.Random) -> list[Told]:
    """A batch for training: as many that leave something to others as that do not."""
    sides = [
        [m for m in messages if not m.held and bool(m.values) is side] for side in (True, False)
    ]
    weights = [[m.weight for m in side] for side in sides]
    return [rng.choices(sides[at % 2], weights[at % 2])[0] for at in range(count) if sides[at % 2]]
