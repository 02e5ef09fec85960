"""What counts as the user's own side: the boundary that data leaves when it is sent outside."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

# Linear: each character is consumed by one class only. ASCII letters, digits, hyphen and dot, so
# that look-alike letters, zero-width characters and percent escapes never pass as a known host.
_HOST_CHARS = re.compile(r"[a-z0-9.-]{1,253}\Z")
_MAIL = re.compile(r"[a-z0-9._%+'-]{1,64}@([a-z0-9.-]{1,253})\Z")
_NAMED_MAIL = re.compile(r"[^<>@,;:\"\\\x00-\x1f]{0,100}<([^<>\s]{3,320})>\Z")
_URL = re.compile(r"(?:https?|wss?|ftps?)://([a-z0-9.-]{1,253})(?::\d{1,5})?(?:[/?#][^\s\\]*)?\Z")
_DESTINATION = re.compile(r"[@\\]|://|^www\.|^\S{1,250}\.[a-z]{2,24}(?:[/:?#]|\Z)", re.IGNORECASE)


def _domain(text: str) -> str:
    host = text.strip().lower().removeprefix("*.").removeprefix("@").strip(".")
    if not _is_host(host) or "." not in host and host != "localhost":
        raise ValueError("should be a domain such as `corp.example` (its subdomains are included)")
    return host


def _address(text: str) -> str:
    if not _MAIL.match(text.strip().lower()):
        raise ValueError("should be one e-mail address")
    return text.strip().lower()


def _path(text: str) -> str:
    if not text.startswith(("/", "~")) or ".." in text.split("/"):
        raise ValueError("should be an absolute folder, without `..`")
    return posixpath.normpath(text)


def _is_host(host: str) -> bool:
    return bool(_HOST_CHARS.match(host)) and all(
        part and not part.startswith("-") and not part.endswith("-") for part in host.split(".")
    )


_Text = Annotated[str, Strict(), Field(min_length=1, max_length=1000)]


class Boundary(BaseModel):
    """Destinations inside the user's side. Empty: every destination is outside."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    domains: tuple[Annotated[_Text, AfterValidator(_domain)], ...] = ()
    """Hosts and mail domains, each with its subdomains."""
    addresses: tuple[Annotated[_Text, AfterValidator(_address)], ...] = ()
    """Single e-mail addresses."""
    accounts: tuple[_Text, ...] = ()
    """Account numbers, channel names, user names: compared exactly, spaces and case apart."""
    paths: tuple[Annotated[_Text, AfterValidator(_path)], ...] = ()
    """Folders, each with all below it."""

    def inside(self, value: str) -> bool:
        """Whether `value` is certainly a destination on the user's side.

        Only clean forms count: one address, one URL without user name, one host, one account, one
        path. Whatever cannot be read in one way only is outside.
        """
        if len(value) > 4096:
            return False
        text = value.strip()
        if named := _NAMED_MAIL.match(text):
            text = named[1]
        if _account(text) in {_account(known) for known in self.accounts}:
            return True
        if text.startswith(("/", "~")):
            return self._holds_path(text)
        return self._holds_host(text.lower())

    def _holds_host(self, text: str) -> bool:
        if text.removeprefix("mailto:") in self.addresses:
            return True
        found = _MAIL.match(text.removeprefix("mailto:")) or _URL.match(text)
        host = (found[1] if found else text).removesuffix(".")
        return _is_host(host) and any(
            host == domain or host.endswith("." + domain) for domain in self.domains
        )

    def _holds_path(self, text: str) -> bool:
        if text.startswith("//") or "\\" in text or "\x00" in text:
            return False
        path = posixpath.normpath(text)
        return any(path == root or path.startswith(root.rstrip("/") + "/") for root in self.paths)

    @staticmethod
    def is_destination(value: str) -> bool:
        """Whether `value` looks like an address, URL, host or path with a server in it."""
        return bool(_DESTINATION.search(value[:4096].strip()))

    def entries(self) -> tuple[str, ...]:
        """All values, in the order of the fields."""
        return (*self.domains, *self.addresses, *self.accounts, *self.paths)


def _account(text: str) -> str:
    return "".join(text.split()).casefold()
