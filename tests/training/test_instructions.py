"""Messages with what they leave to others: lists, labels, and what is kept out of training."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gatling_guard.errors import InputError
from gatling_guard.training.instructions import UNKNOWN, Told, drawn, told
from gatling_guard.training.pairs import HELD_WORLDS
from gatling_guard.training.scenario_files import read_worlds


def test_every_message_is_there_once_with_one_label() -> None:
    """Deliverable 2: lists of both kinds of lives, scenarios, and recorded instructions."""
    found = told(["Where is my parcel?", "Where is my parcel? "])
    texts = [message.text for message in found]
    assert len(texts) == len(set(texts)) > 1300
    assert texts.count("Where is my parcel?") == 1
    kinds = {(message.values, message.effects) for message in found}
    assert kinds == {(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (1.0, UNKNOWN)}


def test_messages_of_held_out_worlds_are_kept_out() -> None:
    """Honest figures: the heads are fitted on worlds of which nothing was trained on."""
    held = {s.instruction.strip() for w in read_worlds() if w.name in HELD_WORLDS
            for s in w.scenarios}  # fmt: skip
    found = told()
    assert {m.text for m in found if m.held} >= held
    batch = drawn(found, 200, random.Random(0))
    assert not any(message.held for message in batch)
    assert sum(message.values for message in batch) == 100


def test_the_same_seed_draws_the_same_batch() -> None:
    found = [Told(f"message {i}", float(i % 2), 0.0) for i in range(50)]
    assert drawn(found, 9, random.Random(3)) == drawn(found, 9, random.Random(3))
    assert drawn(found, 9, random.Random(3)) != drawn(found, 9, random.Random(4))


@pytest.mark.parametrize(
    ("text", "fault"),
    [("mine: [a b]", "own, values, open"), ("own: a b", "own: expected a list of texts"),
     ("open: ['']", "open: expected a list of texts"), ("- a b", "own, values, open")],
)  # fmt: skip
def test_a_wrong_list_is_named(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "one.yaml").write_text(text)
    with pytest.raises(InputError, match=fault) as error:
        told(folders=[tmp_path])
    assert "one.yaml" in str(error.value)
