"""One line of a dataset: an authority, a plan, and what is known of every value in it.

Lines are JSON objects of schema 1 (`Sample`). Two older forms are read as well (R65): the first
seed's (`governance_context`, `execution_plan`, `label`) and the second's (`policy`,
`execution_plan`, `hard_negatives`, `energy_labels`), where a line becomes a gold sample and one
adversarial sample per negative plan. Everything is written as schema 1.

Sees: shape. Whether a plan is acyclic, arguments fit their schema and facts cover every value is
asked of `wellformed.validate`, which costs a hundred times as much.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias, get_args

from gatling_guard.errors import InputError, Issue
from gatling_guard.plan import digest, parse_plan

SCHEMA = 1
Json: TypeAlias = dict[str, Any]
Label = Literal["gold", "boundary", "adversarial"]
LABELS: tuple[Label, ...] = get_args(Label)
TERMS = ("hierarchy", "provenance", "scope", "flow")

_ALIASES: dict[str, Label] = {
    **dict.fromkeys(("gold", "compliant", "benign", "positive", "safe", "allowed"), "gold"),
    **dict.fromkeys(("boundary", "borderline", "subtle", "grey", "gray"), "boundary"),
    **dict.fromkeys(("adversarial", "attack", "malicious"), "adversarial"),
    **dict.fromkeys(("violation", "negative", "unsafe"), "adversarial"),
}


@dataclass(slots=True)
class Sample:
    """One plan under one authority.

    The tools' dicts may be shared between samples: replace one, never change it in place.
    """

    id: str
    family: str
    """A gold plan and its twins share it; no family is in two splits."""
    source: str
    """Which generator or dataset made it."""
    label: Label
    plan: Json
    """`nodes`, `edges`, as `gatling_guard.plan` reads them."""
    governance: Json = field(default_factory=lambda: {"policy": None, "role": None, "context": {}})
    """`policy`, `role`, `context` (`instruction`, `earlier`)."""
    tools: Json = field(default_factory=dict)
    """Name -> `description`, `parameters`, `profile`; the tools used and some that are not."""
    facts: Json = field(default_factory=dict)
    """Node id -> JSON pointer -> `tier`, `named`, `untrusted`, `sensitive`, `disguised`, `caused`:
    what the tracer would say. Pointers as `plan.leaves` gives them."""
    texts: list[Json] = field(default_factory=list)
    """What outputs said: `node`, `tier`, `text`, `directive`, `authority` (the user or a grant
    lets this text direct), `goal_of` (the calls it asks for)."""
    outputs: Json = field(default_factory=dict)
    """Node id -> what the call returned; an edge's `output` points into it."""
    mutation: str | None = None
    severity: float = 0.0
    violates: list[str] = field(default_factory=list)
    negatives: list[str] | None = None
    energy: dict[str, float] | None = None

    def to_json(self) -> Json:
        """The line as an object, keys in the order of the schema."""
        return {"schema": SCHEMA, **{name: getattr(self, name) for name in _ORDER}}


_ORDER = (
    *("id", "family", "source", "label", "mutation", "severity", "violates", "governance"),
    *("plan", "facts", "texts", "outputs", "negatives", "energy", "tools"),
)
_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_TOOL_TEXTS: dict[int, tuple[Json, str, str]] = {}
"""By identity of a tool's dict, which is held so that its id stays its own: the tools are most of
a line, and the same from sample to sample."""
_MOST_TOOLS = 50_000


def to_line(sample: Sample) -> str:
    """One line of JSON, without the line break."""
    data = {name: getattr(sample, name) for name in _ORDER if name != "tools"}
    rest = _ENCODE({"schema": SCHEMA, **data})
    tools = ",".join([_tool_text(name, tool) for name, tool in sample.tools.items()])
    return f'{rest[:-1]},"tools":{{{tools}}}}}'


def _tool_text(name: str, tool: Json) -> str:
    known = _TOOL_TEXTS.get(id(tool))
    if known is None or known[1] != name:
        if len(_TOOL_TEXTS) >= _MOST_TOOLS:
            _TOOL_TEXTS.clear()
        text = f"{_ENCODE(name)}:{_ENCODE(tool)}"
        known = _TOOL_TEXTS[id(tool)] = (tool, name, text)
    return known[2]


def content_hash(sample: Sample) -> str:
    """SHA-256 of what a sample says, ids of sample and family apart: equal ones are duplicates."""
    return digest([sample.label, sample.governance, sample.plan, sample.texts])


def write_samples(to: str | Path | TextIO, samples: Iterable[Sample]) -> int:
    """Write samples as JSON lines; returns how many. `.xz` and `.gz` paths are compressed."""
    if isinstance(to, (str, Path)):
        with _open(Path(to), "wt") as file:
            return write_samples(file, samples)
    count = 0
    for sample in samples:
        to.write(to_line(sample) + "\n")
        count += 1
    return count


def read_samples(path: str | Path, *, bad: list[Issue] | None = None) -> Iterator[Sample]:
    """The samples of a file of JSON lines, one by one (plain, `.xz` or `.gz`).

    Args:
        path: the file; empty lines are left out.
        bad: takes up the faults of lines that cannot be read, which are then skipped. Without it
            the first such line is an error.

    Raises:
        InputError: a line is no sample; with file and line.
    """
    with _open(Path(path), "rt") as file:
        lines = enumerate(file, start=1)
        while True:
            try:
                number, line = next(lines)
            except StopIteration:
                return
            except (UnicodeDecodeError, EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
                raise InputError(
                    [Issue("", f"cannot be read on: {error}", file=str(path))], what="dataset"
                ) from None
            if not line.strip():
                continue
            try:
                found = samples_of(_parsed(line), name=f"{Path(path).stem}-{number}")
            except InputError as error:
                issues = [Issue(i.where, i.message, str(path), number) for i in error.issues]
                if bad is None:
                    raise InputError(issues, what="dataset") from None
                bad.extend(issues)
            else:
                yield from found


def _open(path: Path, mode: Literal["rt", "wt"]) -> TextIO:
    opener: Any = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    file: TextIO = opener(path, mode, encoding="utf-8", newline="\n")
    return file


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", what="sample") from None


def samples_of(data: object, *, name: str) -> list[Sample]:
    """The samples of one line in any of the three forms.

    Args:
        data: the parsed line.
        name: id and family for forms that have none.

    Raises:
        InputError: with every fault.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"a sample is an object, not {type(data).__name__}", what="sample")
    if "schema" in data:
        return [sample_of(data)]
    if "execution_plan" in data and ("governance_context" in data or "policy" in data):
        return _seed_samples(data, name)
    known = "`schema`, or `execution_plan` with `governance_context` or `policy`"
    raise InputError(f"not a known form of sample: expected {known}", what="sample")


_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "family": (str,),
    "source": (str,),
    "mutation": (str, type(None)),
    "severity": (int, float),
    "violates": (list,),
    "governance": (dict,),
    "tools": (dict,),
    "plan": (dict,),
    "facts": (dict,),
    "texts": (list,),
    "outputs": (dict,),
    "negatives": (list, type(None)),
    "energy": (dict, type(None)),
}
_NEEDED = frozenset(("id", "family", "source", "label", "governance", "plan"))


def sample_of(data: Mapping[str, Any]) -> Sample:
    """A sample of schema 1 from its parsed line.

    Raises:
        InputError: with every fault.
    """
    issues: list[Issue] = []
    if data.get("schema") != SCHEMA:
        issues.append(Issue("/schema", f"{data.get('schema')!r:.40} is unknown; it is {SCHEMA}"))
    issues += [Issue(f"/{key}", "is missing") for key in sorted(_NEEDED - data.keys())]
    for key in data.keys() - _TYPES.keys() - {"schema", "label"}:
        issues.append(Issue(f"/{key:.80}", "is no field of a sample"))
    given: Json = {}
    for key, types in _TYPES.items():
        if key not in data:
            continue
        if not isinstance(data[key], types) or isinstance(data[key], bool):
            issues.append(Issue(f"/{key}", f"is of type {type(data[key]).__name__}"))
        given[key] = data[key]
    if "label" in data:
        given["label"] = _label(data["label"], issues)
    if not issues:
        issues = _content_issues(given)
    if issues:
        raise InputError(sorted(issues, key=lambda i: i.where), what="sample")
    return Sample(**given)


def _content_issues(given: Json) -> list[Issue]:
    issues = []
    if not 0 <= given.get("severity", 0) <= 1:
        issues.append(Issue("/severity", "should be from 0 to 1"))
    for term in given.get("violates", ()):
        if term not in TERMS:
            issues.append(Issue("/violates", f"{term!r:.40} is none of {', '.join(TERMS)}"))
    for key in ("nodes", "edges"):
        if not isinstance(given["plan"].get(key), list):
            issues.append(Issue(f"/plan/{key}", "should be a list"))
    return issues


def _label(value: object, issues: list[Issue]) -> Label:
    found = _ALIASES.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        known = ", ".join(sorted(_ALIASES))
        issues.append(Issue("/label", f"{value!r:.40} is no label; one of: {known}"))
    return found or "gold"


def _seed_samples(data: Mapping[str, Any], name: str) -> list[Sample]:
    """Of the two seed forms; ids are made from `name`."""
    issues: list[Issue] = []
    governance = _seed_governance(data, issues)
    label = _label(data.get("label", "gold"), issues)
    plan = _plan(data["execution_plan"], "/execution_plan", issues)
    rivals = data.get("hard_negatives") or []
    if not isinstance(rivals, list):
        issues.append(Issue("/hard_negatives", "should be a list"))
        rivals = []
    plans = [_plan(rival, f"/hard_negatives/{i}", issues) for i, rival in enumerate(rivals)]
    energy = _seed_energy(data.get("energy_labels"), issues)
    if issues:
        raise InputError(issues, what="sample")
    known = str(data.get("id", name))
    ids = [f"{known}/n{i}" for i in range(len(plans))]
    first = Sample(known, str(data.get("family", known)), "seed", label, plan, governance)
    first.negatives, first.energy = ids or None, energy
    return [first] + [
        Sample(
            rival_id,
            first.family,
            "seed",
            "adversarial",
            rival,
            governance,
            mutation="unknown",
            severity=1.0,
        )
        for rival_id, rival in zip(ids, plans, strict=True)
    ]


def _seed_governance(data: Mapping[str, Any], issues: list[Issue]) -> Json:
    given = data.get("governance_context", data)
    if not isinstance(given, Mapping):
        issues.append(Issue("/governance_context", "should be an object"))
        return {}
    context = given.get("session_context") or {}
    if isinstance(context, str):
        context = {"instruction": context}
    return {"policy": given.get("policy"), "role": given.get("user_role"), "context": context}


def _plan(data: object, where: str, issues: list[Issue]) -> Json:
    try:
        plan = parse_plan(data)
    except InputError as error:
        issues += [Issue(where + issue.where, issue.message) for issue in error.issues]
        return {}
    return plan.model_dump(mode="json", exclude_none=True)


def _seed_energy(data: object, issues: list[Issue]) -> dict[str, float] | None:
    if not data:
        return None
    if not isinstance(data, Mapping) or not all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in data.values()
    ):
        issues.append(Issue("/energy_labels", "should hold one number per term"))
        return None
    return {str(term): float(value) for term, value in data.items()}
