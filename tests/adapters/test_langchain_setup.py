"""A wrong set-up is said at once, to the person who set it up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatling_adapters.langchain import (
    GuardCallbackHandler,
    GuardMiddleware,
    tool_node_wrappers,
    wrap_tools,
)
from gatling_guard import ConfigurationError, Guard
from tests.adapters.langchain_kit import World

ROOT = Path(__file__).resolve().parents[2]
INSTALL = '.venv/bin/pip install -e ".[langchain]"'
Make = Callable[..., Any]


def wrap(guard: Any, **options: Any) -> Any:
    return wrap_tools(guard, World().tools, **options)


DOORS: dict[str, Make] = {
    "GuardMiddleware": GuardMiddleware,
    "tool_node_wrappers": tool_node_wrappers,
    "wrap_tools": wrap,
    "GuardCallbackHandler": GuardCallbackHandler,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("wrong", ["standard", None, Guard, {"version": 1}, 7])
def test_what_is_no_guard_is_refused(door: str, wrong: Any) -> None:
    """R138 Not accepted now and answered with a refusal of every call later."""
    with pytest.raises(ConfigurationError, match=f"^{door} expects a Guard") as caught:
        DOORS[door](wrong)
    assert type(wrong).__name__ in str(caught.value)


@pytest.mark.parametrize("door", DOORS)
def test_the_name_of_a_policy_is_told_how_to_be_a_guard(door: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write Guard\('standard'\)"):
        DOORS[door]("standard")


@pytest.mark.parametrize("door", ["GuardMiddleware", "tool_node_wrappers", "wrap_tools"])
def test_what_is_no_session_is_refused(door: str, guard: Guard) -> None:
    for wrong in ("t-1", guard):
        with pytest.raises(ConfigurationError, match="expects session=guard.session"):
            DOORS[door](guard, session=wrong)
    DOORS[door](guard, session=guard.session())


def test_a_callback_takes_a_session_too(guard: Guard) -> None:
    GuardCallbackHandler(guard.session())


def test_wrap_tools_takes_tools(guard: Guard, world: World) -> None:
    wrong: Any = [len]
    with pytest.raises(ConfigurationError, match=r"guard\.wrap"):
        wrap_tools(guard, wrong)
    one: Any = world.tools[0]
    (wrapped,) = wrap_tools(guard, one)
    assert wrapped.name == one.name


def without(module: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that cannot import `module`."""
    script = f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = []\n{code}"
    environment = {**os.environ, "LANGSMITH_TRACING": "false"}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("module", ["langchain", "langchain_core", "langgraph"])
def test_the_example_without_its_framework_says_how_to_install(module: str) -> None:
    code = "import runpy; runpy.run_path('examples/langchain_agent.py', run_name='__main__')"
    done = without(module, code)
    assert done.returncode == 2
    assert INSTALL in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("langchain", "GuardMiddleware"),
        ("langgraph", "tool_node_wrappers"),
        ("langchain_core", "wrap_tools"),
        ("langchain_core", "GuardCallbackHandler"),
        ("langchain_core", "unguarded_tools"),
    ],
)
def test_the_door_without_its_framework_says_how_to_install(module: str, name: str) -> None:
    done = without(module, f"from gatling_adapters.langchain import {name}")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ModuleNotFoundError: {name}: {module}")
    assert INSTALL in last


def test_plain_tools_need_neither_langchain_nor_langgraph() -> None:
    code = (
        "sys.modules['langgraph'] = None\n"
        "from gatling_adapters.langchain import GuardCallbackHandler, wrap_tools"
    )
    done = without("langchain", code)
    assert done.returncode == 0, done.stderr
