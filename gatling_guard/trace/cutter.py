"""Collects the spans of one output, within bounds of time and memory.

What the bounds leave over becomes one short span marked `rest`: nothing of it is indexed, and from
then on any value is taken to stand there (`LineageIndex`).
"""

from __future__ import annotations

import re

from gatling_guard.plan import Provenance
from gatling_guard.trace.canonical import canonical, fitting, hidden_text
from gatling_guard.trace.directive import is_directive, sentences
from gatling_guard.trace.encoded import decoded
from gatling_guard.trace.sensitive import sensitive_name, sensitive_text
from gatling_guard.trace.types import Span

MAX_TEXT = 1_000_000
"""Characters of canonical text and paths that are indexed of one output, over all its fields."""
MAX_SPANS = 20_000
"""Most spans of one output."""
_LONG = 10_000
"""Only longer texts are measured before they are folded: 18 times this is a fair overdraft."""
_EXCERPT = 400
_MANY = 32
"""Decoded texts of one text from which on it is decoded sentence by sentence."""

# A run of backslashes is one escape, however often the text was quoted.
_ESCAPED = re.compile(r"(?<!\\)\\++(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[ntrbf\"'/])")
_MEANS = dict.fromkeys("ntrbf", "\n")


class Cutter:
    """The spans of one output, in order."""

    def __init__(
        self, tool: str, call_id: str, first_id: int, *, cause: str = "", sensitive: bool = False
    ) -> None:
        self.cause, self.sensitive = cause, sensitive
        self.tool, self.call_id, self.first_id = tool, call_id, first_id
        self.spans: list[Span] = []
        self._room = MAX_TEXT
        self._over = False
        self._keys: set[tuple[str, Provenance]] = set()

    @property
    def full(self) -> bool:
        """Whether only the remainder may still be added."""
        return self._over or self._room <= 0 or len(self.spans) >= MAX_SPANS

    def field(self, path: str, text: str, tier: Provenance) -> None:
        """A short structured field."""
        self._add(path, text, tier)
        self._also(path, text, tier, free=False)

    def key(self, path: str, text: str, tier: Provenance) -> None:
        """A key that is data; records repeat their keys, once is enough."""
        if (text, tier) not in self._keys:
            self._keys.add((text, tier))
            self.field(path, text, tier)

    def prose(self, path: str, text: str, tier: Provenance) -> None:
        """Free text, sentence by sentence."""
        cut = self._cut(text)
        found = sentences(text[:cut])
        if cut < len(text):
            found.append(text[cut:])
        for sentence in found:
            if self.full:
                self.remainder(path, sentence)
                return
            self._add(path, sentence, tier, free=True, directive=is_directive(sentence))
        self._also(path, text, tier, free=True)

    def _cut(self, text: str) -> int:
        """Where to stop reading: at the end, or at a blank before the room ends."""
        if len(text) <= self._room:
            return len(text)
        return max(text.rfind(" ", 0, self._room), text.rfind("\n", 0, self._room)) + 1

    def remainder(self, path: str, text: str) -> None:
        """What the bounds leave over: one span for all of it, never trusted."""
        if not self._over:
            self._over = True
            self._append(path, text[:_EXCERPT], Provenance.PUBLIC, free=True, rest=True)

    def _also(self, path: str, text: str, tier: Provenance, *, free: bool) -> None:
        """The text as it reads once escapes are resolved, and what stands in it invisibly."""
        if "\\" in text:
            escaped = [s for s in sentences(text) if _ESCAPED.search(s)]
            for sentence in sentences("\n".join(map(unescaped, escaped))):
                directive = free and is_directive(sentence)
                self._add(f"{path}/~plain", sentence, tier, free=True, directive=directive)
        for plain in self._decoded(text):
            found = sentences(plain)
            # What decodes to confetti was most likely not encoded, and is one span at most.
            for sentence in found if 4 * len(found) <= len(plain) + 16 else [plain]:
                directive = is_directive(sentence)
                self._add(f"{path}/~decoded", sentence, tier, free=True, directive=directive)
        # Text in invisible tag characters is nobody's honest output.
        secret = hidden_text(text)
        if secret.strip():
            self._add(f"{path}/~hidden", secret, Provenance.PUBLIC, free=True, directive=True)

    def _decoded(self, text: str) -> list[str]:
        """What stands encoded in a text; many encoded pieces may hide one behind a bound."""
        found = decoded(text)
        if len(found) < _MANY:
            return list(found)
        return list(dict.fromkeys(plain for s in sentences(text) for plain in decoded(s)))

    def _add(
        self, path: str, text: str, tier: Provenance, *, free: bool = False, directive: bool = False
    ) -> None:
        fits = len(text) if len(text) <= _LONG else fitting(text, max(self._room, 0))
        if self.full or fits < len(text):
            self.remainder(path, text)
            return
        self._append(path, text, tier, free=free, directive=directive)

    def _append(
        self,
        path: str,
        text: str,
        tier: Provenance,
        *,
        free: bool,
        directive: bool = False,
        rest: bool = False,
    ) -> None:
        span_id = self.first_id + len(self.spans)
        canon = canonical(text)
        self._room -= max(len(text), len(canon)) + len(path)
        self.spans.append(
            Span(
                span_id,
                self.call_id,
                self.tool,
                path,
                text,
                canon,
                tier,
                free,
                directive,
                rest,
                self.cause,
                self.sensitive or sensitive_name(_last_name(path)) or sensitive_text(text),
            )
        )


def _last_name(path: str) -> str:
    """The name of the field at `path`; the items of a list carry the list's."""
    return next((part for part in reversed(path.split("/")) if not part.isdigit()), "")


def unescaped(text: str) -> str:
    """`text` with its JSON and Python escapes resolved, at whatever depth of quoting."""
    plain = _ESCAPED.sub(_meaning, text)
    if plain.isascii():
        return plain
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _meaning(found: re.Match[str]) -> str:
    code = found.group(1)
    return chr(int(code[1:], 16)) if len(code) > 1 else _MEANS.get(code, code)
