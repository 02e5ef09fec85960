"""The doors: what a room's `__init__` lists is there, is sorted, and is all it shows."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest

import gatling_adapters
import gatling_guard


def rooms() -> list[str]:
    """Every import package of the distribution, as dotted names."""
    names = []
    for root in (gatling_guard, gatling_adapters):
        names.append(root.__name__)
        found = pkgutil.walk_packages(root.__path__, f"{root.__name__}.")
        names += [module.name for module in found if module.ispkg]
    return names


def as_sorted(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions: the order of ruff's RUF022."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name


@pytest.mark.parametrize("name", rooms())
def test_a_door_is_sorted_and_every_name_on_it_exists(name: str) -> None:
    room = importlib.import_module(name)
    listed = list(getattr(room, "__all__", ()))
    assert listed == sorted(set(listed), key=as_sorted)
    assert not [public for public in listed if not hasattr(room, public)]


# `gatling_guard.cli` imports its verbs to register them; nothing imports from it.
@pytest.mark.parametrize("name", [name for name in rooms() if name != "gatling_guard.cli"])
def test_a_door_shows_nothing_that_it_does_not_list(name: str) -> None:
    room = importlib.import_module(name)
    shown = {
        public
        for public, value in vars(room).items()
        if not public.startswith("_") and not isinstance(value, ModuleType)
        if getattr(value, "__module__", "").startswith(("gatling_guard", "gatling_adapters"))
    }
    assert shown <= set(getattr(room, "__all__", ()))


def test_the_public_api_holds_what_the_adapters_and_the_readme_use() -> None:
    wanted = {"Allowed", "Blocked", "Guard", "Held", "Repaired", "Session", "ToolRequest"}
    assert wanted <= set(gatling_guard.__all__)
