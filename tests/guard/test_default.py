"""What a plain `Guard()` does: it uses what ships. Elsewhere the tests decide by structure alone.

Nothing here depends on the numbers of the shipped heads.
"""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from gatling_guard import Guard
from gatling_guard.pipeline import Learned
from tests.guard.test_learned import guarded, run


def test_everywhere_else_a_plain_guard_is_the_structure_alone() -> None:
    """The one place is `structure_alone` in tests/conftest.py."""
    assert Guard().mode == "structure only"


@pytest.mark.usefixtures("as_shipped")
def test_a_plain_guard_uses_what_ships() -> None:
    """Issue 6: on by default, and `mode` says what decides."""
    assert inspect.signature(Guard).parameters["learned"].default == "auto"
    mode = Guard().mode
    assert mode == Learned("auto").mode
    assert mode.startswith("structure + scorer-1-")


@pytest.mark.usefixtures("as_shipped")
def test_what_ships_decides_and_is_named_in_receipts() -> None:
    """P9: scorer, judge and heads stand in every receipt, and the numbers are numbers."""
    guard = guarded("auto", shadow=True)
    decisions = run(guard)
    assert all(0 <= d.energy.total < 40 for d in decisions)
    bodies = [e.body for e in guard.ledger.entries() if "attribution" in e.body]
    assert bodies
    for body in bodies:
        names = [name.rsplit("-", 1)[0] for name in body["models"]]
        assert names == ["scorer-1", "precise-3", "heads-1"]
        assert isinstance(body["attribution"]["delegated"], float)


def test_outside_of_the_tests_nothing_is_switched_off() -> None:
    """The fixture reaches no other process."""
    code = "from gatling_guard import Guard; print(Guard().mode)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Learned("auto").mode
