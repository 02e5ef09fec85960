"""Texts that a regular expression matches, with the places where their author left room.

The expression is walked as Python's own parser reads it; RE2's few other spellings are translated
first. What is not understood gives no samples: whoever asks runs the real pattern on every text
made from one, so that a wrong guess costs a finding and never makes one up.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

MAX_SAMPLES = 16
"""Ways through the alternatives of one pattern; more are not tried."""
MAX_NODES = 4000
_FILL = ("a", "1", "-", "/", ".", "@", " ", ":", "A", "x", "_", "\u00e4")
_SPLITS = (".", "@", ",", " ")
"""Members of a class that part a name from what is beside it; tried beside a plain one."""
_POSIX = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z",
    "word": r"\w", "space": r"\s", "blank": r" \t", "punct": "!-/:-@\\[-`{-~",
    "xdigit": "0-9a-fA-F",
    "graph": "!-~", "print": " -~", "ascii": r"\x00-\x7f", "cntrl": r"\x00-\x1f\x7f",
}  # fmt: skip
_IN_CLASS = re.compile(r"\[:([a-z]{4,6}):\]")
_RE2_ONLY = re.compile(r"\\(?:x\{([0-9A-Fa-f]{1,6})\}|(z)|([pP])(?:\{\^?[A-Za-z_]+\}|[A-Z]))")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sample."""

    text: str
    """What stands there, or the shortest filling."""
    room: bool = False
    """Any number of characters of some kind may stand there instead."""
    dot: bool = False
    """A `.` that means any one character."""


Sample = tuple[Piece, ...]


def samples(pattern: str) -> tuple[Sample, ...]:
    """At most `MAX_SAMPLES` samples of a pattern, the same ones every time.

    None at all: it was not understood.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parser: Any = importlib.import_module("re._parser")
            plain = _IN_CLASS.sub(lambda m: _POSIX.get(m[1], m[0]), pattern)
            tree = parser.parse(_RE2_ONLY.sub(_translated, plain))
        return tuple(islice(_Walk().sequence(list(tree)), MAX_SAMPLES))
    except (re.error, RecursionError, OverflowError, ValueError, _TooManyError):
        return ()


def text_of(sample: Sample) -> str:
    """The sample as a text, all room filled as shortly as can be."""
    return "".join(piece.text for piece in sample)


class _TooManyError(Exception):
    """The pattern has more parts than are looked at."""


def _translated(match: re.Match[str]) -> str:
    if match[1]:
        return re.escape(chr(min(int(match[1], 16), 0x10FFFF)))
    return r"\Z" if match[2] else (r"\w" if match[3] == "p" else r"\W")


class _Walk:
    def __init__(self) -> None:
        self.left = MAX_NODES

    def sequence(self, nodes: list[Any]) -> Iterator[Sample]:
        """One sample for each choice of alternatives; the first choices first."""
        if not nodes:
            yield ()
            return
        for head in self.node(nodes[0]):
            for rest in self.sequence(nodes[1:]):
                yield (*head, *rest)

    def node(self, node: Any) -> Iterator[Sample]:
        self.left -= 1
        if self.left < 0:
            raise _TooManyError
        kind, value = str(node[0]), node[1]
        if kind == "LITERAL":
            yield (Piece(chr(value)),)
        elif kind == "ANY":
            yield (Piece(".", dot=True),)
        elif kind in ("IN", "NOT_LITERAL"):
            one = _member(kind, value)
            yield (Piece(one),)
            if kind == "IN":
                others = (char for char in _SPLITS if char != one)
                yield from ((Piece(c),) for c in others if _within(kind, value, ord(c)))
        elif kind == "SUBPATTERN":
            yield from self.sequence(list(value[-1]))
        elif kind == "ATOMIC_GROUP":
            yield from self.sequence(list(value))
        elif kind == "BRANCH":
            for branch in value[1]:
                yield from self.sequence(list(branch))
        elif kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield from self.repeat(value)
        else:  # anchors and boundaries take no room
            yield ()

    def repeat(self, value: Any) -> Iterator[Sample]:
        low, high, inner = int(value[0]), int(value[1]), _bare(list(value[2]))
        chars = [node for node in inner if str(node[0]) in _CHARS] if len(inner) == 1 else []
        if len(inner) == 1 and str(inner[0][0]) == "BRANCH":  # `(?:.|\n)*`
            branches = [_bare(list(branch)) for branch in inner[0][1][1]]
            chars = [b[0] for b in branches if len(b) == 1 and str(b[0][0]) in _CHARS]
        if chars and high > low and (high > 3 or str(chars[0][0]) == "ANY"):
            kind, members = str(chars[0][0]), chars[0][1]
            one = "a" if kind == "ANY" else _member(kind, members)
            yield (Piece(one * min(max(low, 1), 64), room=True),)
            return
        for sample in self.sequence(inner):
            yield sample * min(max(low, 1), 8)
        if low == 0:
            yield ()


_CHARS = ("ANY", "IN", "NOT_LITERAL")


def _bare(nodes: list[Any]) -> list[Any]:
    """What a group holds that is all there is: `((.))`."""
    while len(nodes) == 1 and str(nodes[0][0]) in ("SUBPATTERN", "ATOMIC_GROUP"):
        value = nodes[0][1]
        nodes = list(value[-1] if str(nodes[0][0]) == "SUBPATTERN" else value)
    return nodes


def _member(kind: str, value: Any) -> str:
    """A character of a class, a plain one if there is one."""
    fits = [char for char in _FILL if _within(kind, value, ord(char))]
    if fits:
        return fits[0]
    return next((chr(int(v)) for op, v in value if str(op) == "LITERAL"), "a")


def _within(kind: str, value: Any, code: int) -> bool:
    if kind == "NOT_LITERAL":
        return code != int(value)
    found, negated = False, False
    for op, what in value:
        name = str(op)
        negated = negated or name == "NEGATE"
        found = (
            found
            or (name == "LITERAL" and int(what) == code)
            or (name == "RANGE" and int(what[0]) <= code <= int(what[1]))
            or (name == "CATEGORY" and _category(str(what), chr(code)))
        )
    return found is not negated


def _category(name: str, char: str) -> bool:
    plain = name.removeprefix("CATEGORY_").removeprefix("NOT_")
    found = {
        "DIGIT": char.isdigit(),
        "SPACE": char.isspace(),
        "WORD": char.isalnum() or char == "_",
    }.get(plain, False)
    return found is not ("NOT_" in name)
