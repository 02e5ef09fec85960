"""Policy text to plain values, with the line of every key, in bounded time and memory.

YAML is read as nodes: only plain scalars, lists and mappings are understood, nothing is ever
constructed from a tag. JSON is read by the same code, so that it has lines too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from gatling_guard.errors import Issue, PolicyError

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
"""Most values, aliases expanded: a file of aliases of aliases stops here."""
MAX_DEPTH = 40

Place: TypeAlias = tuple[str | int, ...]

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][-+]?[0-9]{1,3})?\Z")
_BOOL = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_PAIR = re.compile(
    r"(?<!\\)((?:\\\\){0,64})(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
_TAG = "tag:yaml.org,2002:"


def dotted(place: Place) -> str:
    """`roles.analyst.tools[2]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part[:80]}"
    return text.removeprefix(".")


class Source:
    """Parsed text: `data`, the line of each place, and what was wrong on the way."""

    def __init__(self, file: str | None = None) -> None:
        self.file = file
        self.data: Any = None
        self.lines: dict[Place, int] = {}
        self.issues: list[Issue] = []
        self.unread: set[Place] = set()
        """Places whose value could not be read; whatever else is said of them is noise."""
        self._left = MAX_NODES

    def line_of(self, place: Place) -> int | None:
        """Line of a place or, where it does not exist, of what it would be in."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return None

    def fault(self, place: Place, message: str, line: int | None = None) -> None:
        """Record that something is wrong at a place."""
        line = self.line_of(place) if line is None else line
        self.issues.append(Issue(dotted(place), message, self.file, line))

    def refuse(self, message: str, line: int | None = None) -> PolicyError:
        """The error for text that cannot be read at all."""
        return PolicyError([Issue("", message, self.file, line)])

    def parse(self, text: str) -> Source:
        """Fill in `data`, `lines` and `issues`.

        Raises:
            PolicyError: the text cannot be read at all.
        """
        if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise self.refuse(f"longer than {MAX_BYTES} bytes")
        if self._is_json(text):
            # A tab cannot occur inside a JSON string, so this changes white space only. YAML does
            # not know the pairs of escapes that JSON writes for characters beyond U+FFFF.
            text = _PAIR.sub(_joined, text.replace("\t", " "))
        node = self._compose(text.removeprefix("\ufeff"))
        if node is None:
            raise self.refuse("empty")
        self.data = self._value(node, ())
        return self

    def _is_json(self, text: str) -> bool:
        """Whether it is JSON; a `.json` file that is not is an error with its line."""
        named = bool(self.file) and str(self.file).endswith(".json")
        if not named and not text.lstrip().startswith("{"):
            return False
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            if named:
                raise self.refuse(f"not JSON: {error.msg}", error.lineno) from None
            return False
        except (RecursionError, ValueError):
            return named
        return True

    def _compose(self, text: str) -> Any:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            self._bound(yaml.parse(text, Loader=loader))
            return yaml.compose(text, Loader=loader)
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error, text) from None
        except yaml.YAMLError as error:
            line = text.count("\n", 0, max(0, getattr(error, "position", 0))) + 1
            raise self.refuse(f"not YAML: {str(error).splitlines()[0]}", line) from None
        except (RecursionError, ValueError) as error:
            raise self.refuse(f"not YAML: {type(error).__name__}") from None

    def _syntax(self, error: Any, text: str) -> PolicyError:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        line = mark.line + 1 if mark else None
        around = text.split("\n")[mark.line : mark.line + 1] if mark else []
        if any("\t" in item[: len(item) - len(item.lstrip())] for item in around):
            said += "; YAML does not allow tabs as indentation"
        return self.refuse(f"not YAML: {said}", line)

    def _bound(self, events: Any) -> None:
        """Depth and number of nodes before anything recursive touches them."""
        import yaml

        depth = 0
        for count, event in enumerate(events):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            line = event.start_mark.line + 1 if event.start_mark else None
            if depth > MAX_DEPTH:
                raise self.refuse(f"nested deeper than {MAX_DEPTH} levels", line)
            if count > 2 * MAX_NODES:
                raise self.refuse(f"more than {MAX_NODES} values", line)

    def _value(self, node: Any, place: Place) -> Any:
        import yaml

        self._left -= 1
        if self._left < 0 or len(place) > MAX_DEPTH:
            what = f"more than {MAX_NODES} values" if self._left < 0 else "nested too deep"
            raise self.refuse(f"{what} once aliases are expanded", node.start_mark.line + 1)
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._value(item, (*place, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place, line)
        self.unread.add(place)
        self.fault(place, f"tag {node.tag[:80]!r} is not allowed", line)
        return None

    def _mapping(self, node: Any, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, place, line)
            if key is None:
                continue
            at = (*place, key)
            if key in result:
                self.fault(at, f"key appears twice (first on line {first[key]})", line)
                continue
            first[key] = self.lines[at] = line
            result[key] = self._value(value_node, at)
        return result

    def _key(self, node: Any, place: Place, line: int) -> str | None:
        if node.tag == _TAG + "str":
            return _text(node.value)
        if node.tag == _TAG + "merge":
            self.fault(place, "merge keys (`<<`) are not supported", line)
        elif node.tag.startswith(_TAG) and isinstance(node.value, str):
            self.fault(place, f"key {node.value[:40]!r} is not text; put it in quotes", line)
        else:
            self.fault(place, "a key should be text", line)
        return None

    def _scalar(self, node: Any, place: Place, line: int) -> Any:
        kind = node.tag.removeprefix(_TAG)
        text: str = node.value
        if kind == "null":
            return None
        if kind == "bool":
            return _BOOL.get(text.lower())
        if not node.style and kind == "int" and _INT.match(text):
            return int(text)
        # YAML 1.1 takes `1e5` for text, JSON for a number.
        number = not node.style and kind in ("str", "float") and _FLOAT.match(text)
        if number and abs(float(text)) < float("inf"):
            return float(text)
        if kind in ("str", "timestamp"):
            return _text(text)
        self.unread.add(place)
        self.fault(place, _scalar_fault(kind, text), line)
        return None


def _text(text: str) -> str:
    """Joins surrogate pairs, which JSON escapes leave apart; a lone one becomes `?`."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _joined(match: re.Match[str]) -> str:
    return match[1] + str(json.loads(f'"{match[2]}"'))


def _scalar_fault(kind: str, text: str) -> str:
    if kind in ("int", "float"):
        return f"{text[:40]!r} is not a number in plain decimal notation; put text in quotes"
    return f"tag {kind[:80]!r} is not allowed"


def read_file(path: Path) -> str:
    """The text of a policy file.

    Raises:
        PolicyError: no such file, not a regular file, too large, or not UTF-8.
    """
    source = Source(str(path))
    try:
        if not path.is_file():
            raise source.refuse("no such file" if not path.exists() else "not a regular file")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise source.refuse(f"longer than {MAX_BYTES} bytes")
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise source.refuse(f"not UTF-8 at byte {error.start}", line) from None
    except (OSError, ValueError) as error:
        raise source.refuse(f"cannot be read: {error}") from None


def from_mapping(data: Mapping[str, Any]) -> Source:
    """A source without text or lines."""
    from gatling_guard.errors import InputError
    from gatling_guard.plan import to_json

    source = Source()
    try:
        source.data = to_json(data, max_depth=MAX_DEPTH, max_items=MAX_NODES)
    except InputError as error:
        raise PolicyError(error.issues) from None
    return source
