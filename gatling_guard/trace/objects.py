"""What was written under a name stays as untrusted as it was: files, memory keys, records.

A tool may rewrite what it stores, so reading it back need not give a text that the index knows.
The name is the same: whatever is read under a name to which untrusted content was written is
untrusted, in this session and in every later one of the same guard (no promotion, P4).

Sees: the identity arguments of writes, and every short value of a later call. Does not see: a read
that names nothing (`list_notes()`), or by another name (a relative path, an alias); what other
processes wrote: nothing of this is kept on disk.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gatling_guard.catalog.types import Effect, ToolSpec
from gatling_guard.plan import Provenance, leaves
from gatling_guard.trace.authority import scalar_text
from gatling_guard.trace.canonical import canonical, trimmed, word_set, words_of
from gatling_guard.trace.faded import Faded
from gatling_guard.trace.lookup import is_trivial
from gatling_guard.trace.postings import telling

MAX_OBJECTS = 10_000
"""Names held; older ones fade into a filter that answers for them, as PUBLIC."""
MAX_NAME = 256
"""Characters of a name; longer values are content."""
MAX_NAMES = 64
"""Values of one call that are taken for names."""

_STORES = (Effect.WRITE,)
_NAMING = word_set(
    "doc document entry file filename id item key memory name note page path record slot table "
    "title topic"
)
"""Arguments that name an object; others (`location`, `status`) name a thing of the world."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


class ObjectTaint:
    """Worst tier written to each named object. Thread-safe; shared by all sessions of a guard."""

    def __init__(self, max_objects: int = MAX_OBJECTS) -> None:
        self._max = max_objects
        self._tiers: OrderedDict[str, Provenance] = OrderedDict()
        self._faded = Faded()
        self._lock = threading.Lock()

    def wrote(self, spec: ToolSpec | None, arguments: Mapping[str, Any], tier: Provenance) -> None:
        """Remember a call that stores something of this tier under a name."""
        if tier == Provenance.INTERNAL or spec is None or spec.profile.effect not in _STORES:
            return
        identity = {
            name: arguments[name] for name in spec.profile.identity_args if name in arguments
        }
        with self._lock:
            for name in _names(identity):
                known = self._tiers.pop(name, Provenance.INTERNAL)
                self._tiers[name] = max(known, tier)
            while len(self._tiers) > self._max:
                self._faded.add([self._tiers.popitem(last=False)[0]])

    def tier(self, arguments: Mapping[str, Any]) -> Provenance:
        """The worst tier of what was written under any name among these arguments."""
        if not self._tiers:
            return Provenance.INTERNAL
        with self._lock:
            return max(map(self._tier, _names(arguments)), default=Provenance.INTERNAL)

    def _tier(self, name: str) -> Provenance:
        if name not in self._tiers and self._faded.seen([name]):
            return Provenance.PUBLIC
        return self._tiers.get(name, Provenance.INTERNAL)


def _names(arguments: Mapping[str, Any]) -> list[str]:
    """The names a call gives; one that says little (`3`, `a`) counts for its own argument only."""
    found: dict[str, None] = {}
    for argument, value in arguments.items():
        for leaf in leaves({argument: value}):
            text = scalar_text(leaf.value)
            if is_trivial(leaf.value) or len(text) > MAX_NAME:
                continue
            key = trimmed(canonical(text))
            if "@" in key:  # a party is no object: writing to somebody stores nothing under him
                continue
            odd = telling(key, words_of(key)) and not key.replace(" ", "").isalpha()
            found[key if odd else f"{_kind(argument)}={key}"] = None
            if len(found) >= MAX_NAMES:
                return list(found)
    return list(found)


@lru_cache(maxsize=1024)
def _kind(argument: str) -> str:
    """`object` for whatever names one (`key`, `file_name`), so that reader and writer agree."""
    words = _WORD.findall(argument[:64])
    return "object" if words and words[-1].lower() in _NAMING else argument
