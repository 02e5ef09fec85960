"""How well `infer_profile` does on the tools that were labelled by hand.

`python benchmarks/profiles.py` prints, for the dev and the held-out half apart, the confusion
matrix of the effect, and precision and recall of effect, reversible, sink, third party,
identity_args and notifies. Needs `../shared/data`; the labels stand in `tests/catalog/labels.json`.
The rules were written with the single errors of the dev half in view (`--errors` shows those, and
never the held-out half's). Read the held-out half at milestones only: docs/catalog.md counts them.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from gatling_guard.catalog import Effect, ToolProfile, infer_profile

ROOT = Path(__file__).resolve().parents[1]
LABELS = ROOT / "tests" / "catalog" / "labels.json"
TOOLS = Path("data") / "catalog" / "tool_schemas.jsonl.xz"
HALVES = ("dev", "held")
EFFECTS = tuple(effect.value for effect in Effect)


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled tool and what the rules say of it."""

    key: str
    label: Mapping[str, Any]
    profile: ToolProfile
    leaves: frozenset[str]
    """Arguments that hold a value themselves, nested ones too."""

    @property
    def effect(self) -> str:
        """The effect that the rules infer."""
        return self.profile.effect.value

    @property
    def defensible(self) -> str:
        """The labelled effect, or the inferred one where the label admits it as a second."""
        return self.effect if self.effect in self.label["also"] else str(self.label["effect"])


@dataclass(frozen=True, slots=True)
class Rate:
    """Precision and recall of one class."""

    hits: int
    predicted: int
    labelled: int
    seen: int

    @property
    def accuracy(self) -> float:
        """Share of all answers, yes and no, that are right."""
        wrong = self.predicted + self.labelled - 2 * self.hits
        return 1 - wrong / self.seen if self.seen else 1.0

    @property
    def precision(self) -> float:
        """Share of what was predicted that is right; 1 where nothing was."""
        return self.hits / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of what is there that was predicted; 1 where nothing is."""
        return self.hits / self.labelled if self.labelled else 1.0

    def __str__(self) -> str:
        return f"P {self.precision:.3f}  R {self.recall:.3f}  n {self.labelled}"


# ------------------------------------------------------------------------------ reading
def digest(tool: Mapping[str, Any]) -> str:
    """What tells two versions of a tool apart: a hash of name, description and schema."""
    seen = {key: tool[key] for key in ("name", "description", "parameters")}
    text = json.dumps(seen, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_labels(path: Path = LABELS) -> dict[str, dict[str, Any]]:
    """The labels by key, as they were committed."""
    labels: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return labels


def read_tools(shared: Path) -> Iterator[dict[str, Any]]:
    """Every tool of the catalog."""
    with lzma.open(shared / TOOLS, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def read_cases(shared: Path, labels: Mapping[str, Mapping[str, Any]]) -> list[Case]:
    """Every labelled tool with the profile that the rules infer for it."""
    wanted = {str(label["digest"]) for label in labels.values()}
    marked = ((digest(tool), tool) for tool in read_tools(shared))
    found = {mark: tool for mark, tool in marked if mark in wanted}
    return [
        _case(key, label, found[label["digest"]])
        for key, label in labels.items()
        if label["digest"] in found
    ]


def _case(key: str, label: Mapping[str, Any], tool: Mapping[str, Any]) -> Case:
    schema = tool["parameters"]
    profile = infer_profile(tool["name"], tool["description"] or "", schema)
    return Case(key, label, profile, frozenset(_leaves(schema)))


def _leaves(schema: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Names of the arguments without properties of their own."""
    for name, child in (schema.get("properties") or {}).items() if depth < 8 else ():
        node = child if isinstance(child, dict) else {}
        inner = node["items"] if isinstance(node.get("items"), dict) else node
        if inner.get("properties"):
            yield from _leaves(inner, depth + 1)
        else:
            yield name


# ------------------------------------------------------------------------------ counting
def half(cases: Iterable[Case], name: str) -> list[Case]:
    """The cases of one half."""
    return [case for case in cases if case.label["half"] == name]


def effect_rates(cases: Iterable[Case], *, strict: bool = False) -> dict[str, Rate]:
    """Precision and recall per effect; `strict` counts the first label only."""
    pairs = [(c.label["effect"] if strict else c.defensible, c.effect) for c in cases]
    hits = Counter(predicted for truth, predicted in pairs if truth == predicted)
    predicted, labelled = Counter(p for _, p in pairs), Counter(t for t, _ in pairs)
    return {e: Rate(hits[e], predicted[e], labelled[e], len(pairs)) for e in EFFECTS}


def flag_rate(pairs: Iterable[tuple[bool, bool]]) -> Rate:
    """The rate of a yes-or-no field, from pairs of label and inference."""
    counts = Counter(pairs)
    hits = counts[True, True]
    return Rate(hits, hits + counts[False, True], hits + counts[True, False], counts.total())


def flag_rates(cases: Iterable[Case]) -> dict[str, Rate]:
    """Rates of the fields beside the effect; identity arguments count one by one."""
    cases = list(cases)
    identity = [
        (name in case.label["identity_args"], name in case.profile.identity_args)
        for case in cases
        for name in case.leaves
    ]
    flags = {
        "irreversible": [(not c.label["reversible"], not c.profile.reversible) for c in cases],
        "sink": [(bool(c.label["sink"]), c.profile.sink) for c in cases],
        "third_party": [(bool(c.label["third_party"]), _third_party(c)) for c in cases],
        "identity_args": identity,
        "notifies": [(bool(c.label["notifies"]), bool(c.profile.notifies)) for c in cases],
    }
    return {name: flag_rate(pairs) for name, pairs in flags.items()}


def _third_party(case: Case) -> bool:
    return bool(case.profile.third_party) or case.profile.tier >= 3


# ------------------------------------------------------------------------------ printing
def matrix(cases: Iterable[Case]) -> str:
    """The confusion matrix of the first labels (rows) and the inferred effects (columns)."""
    counts = Counter((case.label["effect"], case.effect) for case in cases)
    names = {effect: effect[:7] for effect in EFFECTS}
    lines = [" " * 20 + "".join(f"{names[effect]:>9}" for effect in EFFECTS)]
    for truth in EFFECTS:
        cells = "".join(f"{counts[truth, effect] or '.':>9}" for effect in EFFECTS)
        lines.append(f"{truth:<20}{cells}")
    return "\n".join(lines)


def _truths(cases: list[Case]) -> tuple[list[tuple[Case, str]], list[tuple[Case, str]]]:
    first = [(case, str(case.label["effect"])) for case in cases]
    return first, [(case, case.defensible) for case in cases]


def report(name: str, cases: list[Case]) -> None:
    """Print everything about one half."""
    print(f"\n== {name}: {len(cases)} tools; rows are labels, columns what the rules say")
    print(matrix(cases))
    strict, lenient = effect_rates(cases, strict=True), effect_rates(cases)
    print(f"{'effect':<20}{'first label only':<30}with the second labels")
    for effect in EFFECTS:
        print(f"{effect:<20}{strict[effect]!s:<30}{lenient[effect]}")
    for field, rate in flag_rates(cases).items():
        print(f"{field:<20}{rate!s:<30}accuracy {rate.accuracy:.3f}")
    first, either = (mean(c.effect == t for c, t in truth) for truth in _truths(cases))
    print(f"effect right: {first:.3f} by the first label, {either:.3f} with the second labels")
    unsure = [case for case in cases if case.profile.confidence < 0.5]
    right = sum(case.effect == case.defensible for case in unsure)
    print(f"confidence < 0.5: {len(unsure)} tools, {right} of them right")


def main(arguments: list[str]) -> int:
    """Print the report; 2 where the data is missing."""
    shared = ROOT.parent / "shared"
    if not (shared / TOOLS).is_file():
        print(f"no data: {shared / TOOLS} does not exist; the labels hold no schemas")
        return 2
    cases = read_cases(shared, read_labels())
    for name in HALVES:
        report(name, half(cases, name))
    for case in half(cases, "dev") if "--errors" in arguments else ():
        print_errors(case)
    return 0


def print_errors(case: Case) -> None:
    """One line per field in which the rules and the label of a tool differ."""
    label, profile = case.label, case.profile
    if case.effect != case.defensible:
        print(f"{case.key}: {label['effect']} {label['also']} read as {case.effect}")
    for field in ("reversible", "sink"):
        if label[field] != getattr(profile, field):
            print(f"{case.key}: {field} should be {label[field]} ({case.effect})")
    inferred = case.leaves & frozenset(profile.identity_args)
    if inferred != frozenset(label["identity_args"]):
        labelled = frozenset(label["identity_args"])
        print(f"{case.key}: identity +{sorted(inferred - labelled)} -{sorted(labelled - inferred)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
