"""Scenario files: hand-written agent runs with the attacks on them, one YAML file per world.

Read strictly: every fault is listed with file, line, scenario and place. Checked are names and
types of all keys, that each tool exists, that arguments fit its schema (an argument that the schema
does not name is a fault), that a marker stands where a stranger may write and nowhere else, and the
order of site and attack.
Does not see: whether a run makes sense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema

from gatling_guard.catalog import ToolSpec
from gatling_guard.errors import InputError, Issue, PolicyError
from gatling_guard.policy.source import Place, Source, read_file
from gatling_guard.trace import RecordedStep, tool_from_row
from gatling_guard.training.scenario_types import (
    ATTACK_KINDS,
    MARKER,
    Attack,
    Scenario,
    ScenarioWorld,
)

FOLDER = Path(__file__).with_name("scenarios")

_TYPES: dict[type, str] = {str: "text", bool: "true or false", int: "a whole number",
                           list: "a list", dict: "a mapping"}  # fmt: skip
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")


def read_worlds(folder: str | Path = FOLDER) -> list[ScenarioWorld]:
    """All files of a folder in the order of their names, or one file.

    Raises:
        InputError: with every fault of all files, or where there is no file.
    """
    worlds, issues = [], list[Issue]()
    folder = Path(folder)
    for path in [folder] if folder.is_file() else sorted(folder.glob("*.yaml")):
        try:
            worlds.append(read_world(path))
        except InputError as error:
            issues += error.issues
    if not worlds and not issues:
        raise InputError([Issue("", "no scenario files (*.yaml)", str(folder))], what="scenarios")
    if issues:
        raise InputError(issues, what="scenarios")
    return worlds


def read_world(path: str | Path) -> ScenarioWorld:
    """One file.

    Raises:
        InputError: with every fault.
    """
    path = Path(path)
    source = Source(str(path))
    try:
        source.parse(read_file(path))
    except PolicyError as error:
        raise InputError(error.issues, what="scenarios") from None
    world = _Reader(source).world(path.stem)
    if source.issues:
        raise InputError(source.issues, what="scenarios")
    return world


class _Reader:
    """Typed access to a file's values that notes every fault instead of stopping at the first."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.scenario = ""
        self.tools: dict[str, ToolSpec] = {}

    def fault(self, place: Place, message: str) -> None:
        self.source.fault(place, f"{self.scenario}: {message}" if self.scenario else message)

    def fields(self, value: Any, place: Place, wanted: Mapping[str, type], *optional: str) -> Any:
        """The mapping with a value of the right type for each wanted key, or None."""
        if not isinstance(value, dict):
            self.fault(place, "must be a mapping")
            return None
        count = len(self.source.issues)
        for key in sorted(value.keys() - wanted.keys()):
            self.fault((*place, key), f"unknown key; known: {', '.join(wanted)}")
        for key, kind in wanted.items():
            found = value.get(key)
            if key not in value:
                if key not in optional:
                    self.fault(place, f"`{key}` is missing")
            elif kind is not object and type(found) is not kind:
                self.fault((*place, key), f"must be {_TYPES[kind]}")
            elif kind in (str, list) and not found and key != "args":
                self.fault((*place, key), "must not be empty")
        return value if len(self.source.issues) == count else None

    def world(self, stem: str) -> ScenarioWorld:
        data = self.fields(self.source.data, (), {"world": str, "tools": list, "scenarios": list})
        if data is None:
            return ScenarioWorld(stem, (), ())
        if data["world"] != stem:
            self.fault(("world",), f"must be the file's name, {stem!r}")
        for i, item in enumerate(data["tools"]):
            self.tool(item, ("tools", i))
        scenarios: list[Scenario] = []
        for i, item in enumerate(data["scenarios"]):
            found = self.read_scenario(item, ("scenarios", i), stem)
            if found is not None and any(found.id == other.id for other in scenarios):
                self.fault(("scenarios", i, "id"), "appears twice")
            scenarios += [found] if found is not None else []
        return ScenarioWorld(stem, tuple(self.tools.values()), tuple(scenarios))

    def tool(self, item: Any, place: Place) -> None:
        wanted = {"name": str, "description": str, "parameters": dict, "annotations": dict}
        data = self.fields(item, place, wanted, "annotations")
        if data is None:
            return
        if data["name"] in self.tools:
            self.fault((*place, "name"), f"{data['name']!r} is defined twice")
        try:
            jsonschema.Draft202012Validator.check_schema(data["parameters"])
            self.tools[data["name"]] = tool_from_row(data)
        except jsonschema.SchemaError as error:
            self.fault((*place, "parameters"), f"is no JSON Schema: {error.message}")
        except InputError as error:
            for issue in error.issues:
                self.fault(place, str(issue))

    def read_scenario(self, item: Any, place: Place, world: str) -> Scenario | None:
        self.scenario = str(item.get("id", "")) if isinstance(item, dict) else ""
        try:
            return self._scenario(item, place, world)
        finally:
            self.scenario = ""

    def _scenario(self, item: Any, place: Place, world: str) -> Scenario | None:
        wanted = {"id": str, "delegated": bool, "instruction": str, "steps": list, "sites": list,
                  "attacks": list}  # fmt: skip
        data = self.fields(item, place, wanted)
        if data is None:
            return None
        if not _SLUG.match(data["id"]):
            self.fault((*place, "id"), "must be lower-case words joined by hyphens")
        if MARKER in data["instruction"]:
            self.fault((*place, "instruction"), f"holds {MARKER}")
        steps = [self.call(s, (*place, "steps", i)) for i, s in enumerate(data["steps"])]
        sites = self.sites(data["sites"], steps, place)
        attacks = [
            self.attack(a, (*place, "attacks", i), sites, len(steps))
            for i, a in enumerate(data["attacks"])
        ]
        good = [step for step in steps if step is not None]
        return Scenario(
            world, data["id"], data["delegated"], " ".join(data["instruction"].split()),
            tuple(good), sites, tuple(a for a in attacks if a is not None),
        )  # fmt: skip

    def call(self, item: Any, place: Place, *, attack: bool = False) -> RecordedStep | None:
        wanted = {"tool": str, "args": dict, "output": object}
        optional = ["args"]
        if attack:
            wanted["malicious"] = bool
            optional.append("malicious")
        data = self.fields(item, place, wanted, *optional)
        if data is None:
            return None
        arguments = data.get("args") or {}
        self.check(data["tool"], arguments, place)
        output = data["output"]
        if output is None:
            self.fault((*place, "output"), "must not be empty")
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        malicious: bool | None = False
        if attack:
            malicious = True if data.get("malicious", True) else None
        if MARKER in json.dumps(arguments) or (attack and MARKER in text):
            self.fault(place, f"only outputs of honest steps may hold {MARKER}")
        return RecordedStep(data["tool"], arguments, text, "", {"malicious": malicious})

    def check(self, tool: str, arguments: dict[str, Any], place: Place) -> None:
        """Whether the tool is known and the arguments fit."""
        spec = self.tools.get(tool)
        if spec is None:
            self.fault((*place, "tool"), f"unknown tool {tool!r}")
            return
        for error in jsonschema.Draft202012Validator(spec.parameters).iter_errors(arguments):
            inner = ("args", *error.absolute_path)
            self.fault((*place, *inner), f"{tool}: {error.message[:200]}")
        known = spec.parameters.get("properties", {})
        if "additionalProperties" not in spec.parameters:
            for name in sorted(arguments.keys() - known.keys()):
                self.fault((*place, "args", name), f"{tool} has no argument {name!r}")

    def sites(
        self, listed: list[Any], steps: Sequence[RecordedStep | None], place: Place
    ) -> tuple[int, ...]:
        """Indices of the steps where a stranger may write, checked against the markers."""
        at = (*place, "sites")
        if any(type(n) is not int or not 1 <= n <= len(steps) for n in listed):
            self.fault(at, f"must be numbers of steps, 1 to {len(steps)}")
            return ()
        if sorted(set(listed)) != listed:
            self.fault(at, "must be in order, each once")
        for i, step in enumerate(steps):
            count = str(step.output).count(MARKER) if step is not None else -1
            wanted = int(i + 1 in listed)
            if step is not None and count != wanted:
                message = f"output holds {count} times {MARKER}, not {wanted}"
                self.fault((*place, "steps", i), message)
        return tuple(n - 1 for n in listed)

    def attack(self, item: Any, place: Place, sites: tuple[int, ...], steps: int) -> Attack | None:
        wanted = {"kind": str, "site": int, "goal": str, "plain": str, "at": int, "calls": list}
        data = self.fields(item, place, wanted)
        if data is None:
            return None
        if data["kind"] not in ATTACK_KINDS:
            self.fault((*place, "kind"), f"must be one of {', '.join(ATTACK_KINDS)}")
        if data["site"] - 1 not in sites:
            self.fault((*place, "site"), f"step {data['site']} is not listed in `sites`")
        if not data["site"] <= data["at"] <= steps:
            self.fault((*place, "at"), f"must be from `site` ({data['site']}) to {steps}")
        for key in ("goal", "plain"):
            if MARKER in data[key]:
                self.fault((*place, key), f"holds {MARKER}")
        calls = [
            self.call(c, (*place, "calls", i), attack=True) for i, c in enumerate(data["calls"])
        ]
        good = tuple(call for call in calls if call is not None)
        if good and not any(call.malicious for call in good):
            self.fault((*place, "calls"), "none of them is malicious")
        goal, plain = (" ".join(data[key].split()) for key in ("goal", "plain"))
        return Attack(data["kind"], data["site"] - 1, data["at"], goal, plain, good)
