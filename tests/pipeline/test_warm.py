"""What is loaded at first use is loaded before a deadline runs."""

from __future__ import annotations

import json
import subprocess
import sys

from gatling_guard.pipeline import warm

# Loading takes longer than a check may (250 ms), as it does on a busy machine.
COLD = """
import json, sys, time
from gatling_guard import Guard, ToolRequest

class Slow:
    def find_spec(self, name, path=None, target=None):
        time.sleep(0.4 if name in ("jsonschema", "re2", "referencing") else 0)

sys.meta_path.insert(0, Slow())
guard = Guard("standard")
schema = {"type": "object", "required": ["to"], "properties": {
    "to": {"type": "string", "pattern": "@"}, "body": {"type": "string", "maxLength": 999}}}
guard.register({"name": "send_email", "description": "Send an email", "parameters": schema})
given = {"to": "ann@corp.example", "body": "Grüße, 5 May 2024, 3.000,50 € https://x.example"}
START
loaded = set(sys.modules)
decision = CHECK
new = sorted(m for m in set(sys.modules) - loaded if not m.startswith("encodings"))
print(json.dumps([decision.action, list(decision.reasons), new]))
"""


def _cold(start: str, check: str) -> tuple[str, list[str], list[str]]:
    code = COLD.replace("START", start).replace("CHECK", check)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    action, reasons, new = json.loads(run.stdout)
    return action, reasons, new


def test_the_first_check_of_a_process_is_not_blocked_for_what_it_has_to_load() -> None:
    """R140: the deadline is for the check; tables and libraries come before it."""
    start = "session = guard.session(instruction='Mail ann@corp.example a greeting.')"
    action, reasons, new = _cold(start, "session.check(ToolRequest('send_email', given))")
    assert action == "allow", reasons
    assert new == []


def test_nor_is_the_first_plan() -> None:
    """R140."""
    plan = "{'nodes': [{'node_id': 'a', 'tool_name': 'send_email', 'arguments': given}]}"
    check = f"guard.check({plan}, instruction='Mail ann@corp.example a greeting.')"
    _, reasons, _ = _cold("pass", check)
    assert not any("guard.error" in reason for reason in reasons), reasons


def test_warming_up_runs_every_stage() -> None:
    """It never raises, so that a part of it that fails would go unseen."""
    warm._check()
