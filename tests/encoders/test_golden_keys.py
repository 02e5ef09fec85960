"""R149: the keys of the state dicts are stable across a minor version."""

from __future__ import annotations

import importlib.util

import pytest


@pytest.mark.skipif(
    importlib.util.find_spec("gatling_guard.encoders.bundle") is None, reason="no networks yet"
)
def test_the_state_dicts_have_the_keys_they_had() -> None:
    """R149: a key that is renamed, lost or of another shape makes every saved model unloadable."""
    pytest.importorskip("torch")
    from tests.encoders import golden_keys

    assert golden_keys.current() == golden_keys.stored(), (
        "weights that were saved no longer load; if that is meant:"
        " python -m tests.encoders.golden_keys, and a new minor version"
    )
