"""Fixtures of the adapter tests."""

from __future__ import annotations

import pytest

from gatling_guard import Guard
from tests.adapters.langchain_kit import POLICY, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def guard() -> Guard:
    return Guard(POLICY)
