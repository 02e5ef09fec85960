"""What would let a call pass the rule that stopped it (R50): a line of policy, or a sentence.

Sees: the rule's name, its message, and the explanation around it. Every fragment is built by a
YAML writer, because names and values are an attacker's as likely as not. What no fragment can say
(take something out of a list, register a tool) is said in words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from gatling_guard.report.types import Advice, Explanation, Rule

_LISTED = "Add to the list and keep what it has already. Or use another role."


def about_rule(rule: Rule, found: Explanation) -> Iterator[Advice]:
    """What would have to change for the rule to let the call pass."""
    head, _, tail = rule.rule.partition(".")
    if rule.rule == "origin.required":
        yield from _origin(rule, found)
    elif head == "flow":
        yield from _flow(tail, rule)
    elif head == "budget":
        yield _budget(rule)
    elif head == "argument":
        yield Advice("Look at the constraint", f"`arguments` of the policy: {rule.message}")
    elif rule.rule == "role.denied":
        yield Advice(
            f"Remove it from `deny` of the role {found.role}".rstrip(),
            f"`deny` wins, so naming {found.tool} in `tools` changes nothing; the entry may be a "
            "pattern that covers it. Or use another role.",
        )
    elif rule.rule == "tool.unknown":
        effect = f", effect={found.effect!r}" if found.effect else ""
        yield Advice(
            "Register the tool",
            f"With `guard.register(tool{effect})`: its schema lets its calls be judged. If there "
            "is no such tool, the model made the name up, and nothing is to be done.",
        )
    elif rule.rule in _REMEDIES:
        title, detail, entry = _REMEDIES[rule.rule]
        sure = plain_name(found.tool) and plain_name(found.role or "ROLE")
        yield Advice(title, detail, fragment(entry(found)) if sure else "")
    elif head == "schema":
        yield Advice("Look at the call", "It does not fit the tool's own schema.")
    elif head == "hold" and found.verdict == "hold":
        yield Advice("The policy wants a person to see such calls", "See its `holds` and `hold`.")


def _for_tool(**entry: Any) -> Callable[[Explanation], dict[str, Any]]:
    return lambda found: {"tools": {found.tool: entry}}


def _role(found: Explanation, **entry: Any) -> dict[str, Any]:
    """A role needs `tools`; the one that is named stands beside those that are there."""
    return {"roles": {found.role or "ROLE": {"tools": [found.tool], **entry}}}


_REMEDIES: Mapping[str, tuple[str, str, Callable[[Explanation], dict[str, Any]]]] = {
    "tool.denied": (
        "Allow the tool",
        "Where its entry says `allow: false`.",
        _for_tool(allow=True),
    ),
    "role.tool": ("Add the tool to the role's list", _LISTED, _role),
    "role.unknown": ("Define the role", "Or use one that the policy has.", _role),
    "role.missing": ("Name a role", "With `role=` where the session starts.", _role),
    "role.effect": (
        "Add the effect to the role's list",
        _LISTED,
        lambda found: _role(found, effects=[found.effect or "read"]),
    ),
    "scope.cap": (
        "Raise the scope of the role",
        "Keep what its lists have already.",
        lambda found: _role(found, scope=10),
    ),
    "schema.extra": (
        "Allow arguments that the schema lacks",
        "Better: add the argument to the tool's schema.",
        _for_tool(extra_arguments="allow"),
    ),
    "limit.tool_calls": ("Raise the limit", "Of calls per session.", _for_tool(max_calls=100)),
    "limit.calls": ("Raise the limit", "", lambda _: {"limits": {"max_calls": 20_000}}),
}
"""By rule: title, detail and the fragment of a policy that would let the call pass the rule."""


def _budget(rule: Rule) -> Advice:
    """The message names the budget: `amount of role clerk: 1200 with this call, at most 1000`."""
    person = "A person has to let this call through, or" if rule.action == "hold" else (
        "No answer of a person clears it:")  # fmt: skip
    return Advice(
        f"The budget `{rule.rule.partition('.')[2]}` does not cover this call",
        f"{rule.message}. {person} the budget has to be larger (`budgets` in the policy).",
    )


def _origin(rule: Rule, found: Explanation) -> Iterator[Advice]:
    """What would have been needed for the value to be accepted."""
    leaf = next((a for a in found.arguments if a.path == rule.where), None)
    tools = [f"tool:{s.tool}" for s in leaf.sources if s.tool] if leaf else []
    tools = [tool for tool in dict.fromkeys(tools) if plain_name(tool)]
    if leaf and tools and plain_name(found.tool):
        wanted = {leaf.argument: ["instruction", tools[0]]}
        yield Advice(
            f"Accept {leaf.argument} from {tools[0].removeprefix('tool:')}",
            "Only if everything that this tool returns may say so.",
            fragment({"tools": {found.tool: {"origin": wanted}}}),
        )
    yield Advice("Ask the user", "What the user names needs no other origin, where `origin` lists "
                 "`instruction`.")  # fmt: skip


def _flow(path: str, rule: Rule) -> Iterator[Advice]:
    source, _, target = path.partition("-")
    if rule.action == "block" and source and target:
        yield Advice(
            "Have a person decide on this flow",
            "In place of the policy's `deny:` line.",
            fragment({"flows": [f"hold: {source} -> {target}"]}),
        )
    yield Advice("Have the user name the value", "What the instruction names is no flow.")


def fragment(value: Any) -> str:
    """Lines of a policy: plain ASCII, to be merged by hand."""
    # Through JSON, so that equal lists are written out: an alias could not be merged by hand.
    plain = json.loads(json.dumps(value))
    return yaml.safe_dump(plain, sort_keys=False, width=10_000, default_flow_style=None).rstrip()


def plain_name(name: str) -> bool:
    """Whether a tool's name may stand in a policy: globs would mean other tools as well."""
    return bool(re.fullmatch(r"\w[\w.:/ -]{0,198}", name)) and name == name.strip()
