"""How findings and reasons show a value: whole.

A secret is recognised in its whole form only (`postgresql://user:...@host`), so that whoever cuts
a text before it is redacted lets half of a secret through. Shortening is for whoever shows it.
"""

from __future__ import annotations

MAX_QUOTE = 2000
"""Characters shown of one value."""


def shown(value: object) -> str:
    """A value on one line. One that is too long ends between two words, never inside of one."""
    text = value if isinstance(value, str) else str(value)
    line = " ".join(text[: MAX_QUOTE + 1].split())
    if len(text) <= MAX_QUOTE:
        return line
    return f"{line.rpartition(' ')[0]}... ({len(text)} characters)"


def quote(value: object) -> str:
    """The same in quotes. Not by `repr`: its escapes would glue a word to what precedes it."""
    return f"'{shown(value)}'"
