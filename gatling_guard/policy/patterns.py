"""Globs and regular expressions that come from foreign text, both in bounded time.

Regular expressions go through RE2, which is linear in the text: a pattern such as `(a+)+$` cannot
hang a decision. RE2 has no look-around and no back-references; such a pattern is refused with the
reason instead of being run by another engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

MAX_GLOB = 256
MAX_PATTERN = 1000
"""Longest regular expression; with `MAX_PROGRAM` it bounds the time per character."""
MAX_PROGRAM = 1 << 20
"""Bytes RE2 may use per pattern."""
MAX_SUBJECT = 100_000
"""Longest text a pattern is run on; longer text does not match."""
MAX_WORK = 20_000_000
"""Most instructions times characters for one match, at up to 20 ns each; more does not match."""


def glob_match(glob: str, name: str) -> bool:
    """Whether `name` matches `glob`, where `*` is any text and `?` any one character.

    Case matters, nothing else is special. Two pointers, so at worst `len(glob) * len(name)`.
    """
    g = n = 0
    star, resume = -1, 0
    while n < len(name):
        if g < len(glob) and glob[g] == "*":
            star, resume = g, n
            g += 1
        elif g < len(glob) and glob[g] in ("?", name[n]):
            g, n = g + 1, n + 1
        elif star >= 0:
            resume += 1
            g, n = star + 1, resume
        else:
            return False
    return all(char == "*" for char in glob[g:])


def match_any(globs: Iterable[str], names: Iterable[str]) -> bool:
    """Whether one of `names` matches one of `globs`."""
    names = tuple(names)
    return any(glob_match(glob, name) for glob in globs for name in names)


def check_glob(glob: str) -> str:
    """The glob itself, or a ValueError that says what is wrong."""
    if not glob.strip() or len(glob) > MAX_GLOB:
        raise ValueError(f"should be a name or glob of 1 to {MAX_GLOB} characters")
    if "[" in glob or "{" in glob:
        raise ValueError("only `*` and `?` are wildcards here; list the names instead")
    return glob


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Any:
    """The RE2 object of a regular expression.

    Raises:
        ValueError: too long, too large, or not RE2; the message says which and why.
    """
    import re2  # type: ignore[import-untyped]

    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"pattern longer than {MAX_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MAX_PROGRAM
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise ValueError(_explain(pattern, error)) from None


def _explain(pattern: str, error: Exception) -> str:
    raw = error.args[0] if error.args else error
    detail = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    text = f"not a regular expression that RE2 can run in linear time: {detail}"
    if any(mark in pattern for mark in ("(?=", "(?!", "(?<=", "(?<!")):
        text += "; look-ahead and look-behind are not supported, write what is allowed instead"
    elif "invalid escape" in detail:
        text += "; back-references are not supported, \\z stands for \\Z, \\x{e4} for \\u00e4"
    return text


def pattern_work(pattern: str, text: str) -> int:
    """Upper bound of the steps RE2 takes: instructions of the pattern times characters."""
    return int(compile_pattern(pattern).programsize) * len(text)


def full_match(pattern: str, text: str) -> bool:
    """Whether the whole of `text` matches; text that is too long for the pattern does not."""
    return (
        _bounded(pattern, text)
        and compile_pattern(pattern).fullmatch(_valid_unicode(text)) is not None
    )


def search(pattern: str, text: str) -> bool:
    """Whether some part of `text` matches; text that is too long for the pattern does not."""
    return (
        _bounded(pattern, text)
        and compile_pattern(pattern).search(_valid_unicode(text)) is not None
    )


def _bounded(pattern: str, text: str) -> bool:
    return len(text) <= MAX_SUBJECT and pattern_work(pattern, text) <= MAX_WORK


def _valid_unicode(text: str) -> str:
    """RE2 works on UTF-8, which has no lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def check_pattern(pattern: str) -> str | None:
    r"""What is wrong with a pattern of a policy, or None.

    Policy patterns match the whole value. One that is anchored at one end only shows that its
    author had a search in mind; it is refused, because `^ann@corp` or `corp\.example$` would
    otherwise mean something else than it says.
    """
    try:
        compile_pattern(pattern)
    except ValueError as error:
        return str(error)
    if _alternatives(pattern) > 1 and (_starts(pattern) or _ends(pattern)):
        said = "`^` or `$` beside a top-level `|` binds to one side only; write `(a|b)` without"
        return said + _as_search(pattern)
    if _starts(pattern) != _ends(pattern):
        return (
            "a policy pattern matches the whole value, but this one is anchored at one end only; "
            "write the whole value, with `.*` where anything may stand" + _as_search(pattern)
        )
    return None


def _as_search(pattern: str) -> str:
    """What a half-anchored pattern lets through where patterns are searched for."""
    from gatling_guard.policy.lint import searched  # which runs patterns with this module

    found = searched(pattern)
    return f" (as a search it lets {found!r} through)" if found else ""


def _starts(pattern: str) -> bool:
    return pattern.startswith(("^", "\\A"))


def _ends(pattern: str) -> bool:
    tail = pattern[:-1] if pattern.endswith("$") else pattern[:-2]
    if not pattern.endswith(("$", "\\z")):
        return False
    slashes = len(tail) - len(tail.rstrip("\\"))
    return slashes % 2 == 0


def _alternatives(pattern: str) -> int:
    """Number of alternatives outside every group and character class."""
    depth, count, i, inside = 0, 1, 0, False
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            i += 1
        elif inside:
            inside = char != "]"
        elif char == "[":
            inside = True
            i += pattern[i + 1 : i + 2] == "]"
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and depth == 0:
            count += 1
        i += 1
    return count


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The most similar of `known`, if any is similar enough to be worth suggesting."""
    name = name[:64]
    import difflib  # slow to import, and needed for error messages only

    if found := difflib.get_close_matches(name, [k[:64] for k in known][:200], n=1, cutoff=0.6):
        return found[0]
    return None


def hint(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found else ""
