"""A folder of files that is read with bounds and without following links, and written as a whole.

Sees: paths, sizes, bytes. Does not see: what the bytes mean.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

from gatling_guard.errors import ConfigurationError, InputError

MAX_LISTED = 1000
"""Entries of a folder that are looked at; a model has about 15."""


def read_file(folder: Path, name: str, *, limit: int) -> bytes:
    """The bytes of one regular file, through one open file descriptor.

    Args:
        folder: may itself be a link.
        name: `/`-separated, within the folder; no part of it may be a link.
        limit: most bytes; checked before anything is read.

    Raises:
        InputError: a link, no regular file, or larger than `limit`.
        OSError: it cannot be opened.
    """
    path = folder
    for part in name.split("/"):
        path = path / part
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise InputError("is a symbolic link; the files of a model are files", what=str(path))
    # No waiting for the other end of a pipe; on Windows the first two do not exist.
    flags = (getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    descriptor = os.open(path, os.O_RDONLY | sum(flags))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("is no regular file", what=str(path))
        if status.st_size > limit:
            raise InputError(f"has {status.st_size} bytes; at most {limit}", what=str(path))
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:  # it grew meanwhile
        raise InputError(f"has more than {limit} bytes", what=str(path))
    return data


def listed(folder: Path) -> list[str]:
    """Every file and link below the folder, `/`-separated and sorted; links are not followed.

    Raises:
        InputError: more than `MAX_LISTED`.
    """
    names: list[str] = []
    seen = 0
    for where, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        names += [(Path(where) / name).relative_to(folder).as_posix() for name in files + links]
        seen += len(folders) + len(files)
        if seen > MAX_LISTED:
            raise InputError(f"more than {MAX_LISTED} entries", what=str(folder))
    return sorted(names)


def write_folder(folder: Path, files: Mapping[str, bytes], *, replace: bool = False) -> None:
    """Write all files, or none: whoever reads sees the old folder or the new one.

    The files are written beside it (`.name.xxxx`, left behind by a killed process) and the folders
    exchanged in one step. Where the file system cannot exchange, there is an instant without either
    under its name; the old one is then kept beside it until the new one is in place.

    Raises:
        ConfigurationError: the folder exists and `replace` is not set.
        OSError: it cannot be written.
    """
    folder = folder.resolve()
    if folder.exists() and not replace:
        raise ConfigurationError(f"{folder} exists")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.parent / f".{folder.name}.{token_hex(6)}"
    fresh.mkdir()
    try:
        for name, data in files.items():
            _write(fresh / name, data)
        for where, _, _ in os.walk(fresh):
            _sync(Path(where))
        _put(fresh, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Names of files reach the disk with their folder; Windows has no such call."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _put(fresh: Path, folder: Path) -> None:
    """`fresh` becomes `folder`; what was there before, if anything, becomes `fresh`."""
    if not folder.exists():
        os.rename(fresh, folder)
        return
    if _exchange(fresh, folder):
        return
    aside = fresh.with_name(f"{fresh.name}.old")
    os.rename(folder, aside)
    try:
        os.rename(fresh, folder)
    except OSError:
        os.rename(aside, folder)
        raise
    os.rename(aside, fresh)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system cannot."""
    name, leading = {
        "linux": ("renameat2", -100),  # AT_FDCWD
        "darwin": ("renameatx_np", -2),
    }.get(sys.platform, ("", 0))
    call = getattr(ctypes.CDLL(None), name, None) if name else None
    if call is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return bool(call(leading, paths[0], leading, paths[1], ctypes.c_uint(2)) == 0)  # 2: exchange
