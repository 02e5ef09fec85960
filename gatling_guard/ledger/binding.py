"""The key under which holds are bound to their arguments.

A hold id has to be equal in every process and to change with every argument. A plain digest would
do, and would let whoever reads the ledger find a PIN by trying all of them. So it is a MAC, and
its key stands beside the ledger, not in it: a copy of the ledger alone tells nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from gatling_guard.errors import LedgerError

SUFFIX = ".holdkey"


def binding_key(path: Path | None, given: bytes | None) -> bytes:
    """The key for a ledger: derived from the given key, else kept in a file beside the ledger.

    A ledger in memory gives nothing away, so its key is no secret: a program that keeps its agent's
    checkpoints but no ledger can still answer a hold after a restart.

    Raises:
        LedgerError: the key file cannot be read or made.
    """
    if given is not None:
        return hashlib.sha256(b"gatling-hold" + given).digest()
    if path is None:
        return bytes(32)
    file = path.with_name(path.name + SUFFIX)
    try:
        with contextlib.suppress(FileExistsError):
            _make(file)
        key = file.read_bytes()
    except OSError as error:
        raise LedgerError(f"{file}: {error.strerror or error}") from None
    if len(key) != 32:
        raise LedgerError(f"{file}: not a hold key (32 bytes); delete it to void all open holds")
    return key


def _make(file: Path) -> None:
    """Written under another name first, so that no process ever reads half a key."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(secrets.token_bytes(32))
        os.link(draft, file)  # fails when there is one: the first key wins
    finally:
        draft.unlink()
