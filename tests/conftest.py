"""What every test may rely on: no network, and the shared data where a checkout has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatling_guard import Guard

ROOT = Path(__file__).resolve().parents[1]

# Set before any test imports langchain: nothing may be sent to a tracing service.
os.environ["LANGSMITH_TRACING"] = "false"
os.environ["LANGCHAIN_TRACING_V2"] = "false"


def _is_local(address: Any) -> bool:
    """A unix socket, or the loopback range."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    return host in ("localhost", "::1", "") or host.startswith("127.")


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """Every connection that leaves this machine is an error, so no test can come to need one."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        if not _is_local(address):
            raise AssertionError(f"a test tried to connect to {address!r}")
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        if not _is_local(address):
            raise AssertionError(f"a test tried to connect to {address!r}")
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield


_DEFAULTS: dict[str, Any] = Guard.__init__.__kwdefaults__ or {}
_AS_SHIPPED = _DEFAULTS["learned"]


@pytest.fixture(scope="session", autouse=True)
def structure_alone() -> Iterator[None]:
    """A guard that is not told otherwise decides by the exact structure alone.

    So decisions that a test writes down do not change with the weights that ship. What a plain
    `Guard()` really does is tested with the fixture `as_shipped`, in tests/guard/test_default.py.
    Code that runs in a process of its own gives `learned="off"` itself.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_DEFAULTS, "learned", "off")
        yield


@pytest.fixture
def as_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain `Guard()` uses what ships, as it does outside the tests."""
    monkeypatch.setitem(_DEFAULTS, "learned", _AS_SHIPPED)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `../shared` (recorded traces, reference harness); skips where there is none."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs ../shared/data, which this checkout does not have beside it")
    return folder
