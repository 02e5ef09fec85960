"""Draws docs/explain.svg, the plan of `gatling-guard demo`: `python scripts/explain_picture.py`."""

from __future__ import annotations

from pathlib import Path

from gatling_guard.cli.demo_command import INSTRUCTION, SCRIPT, World
from gatling_guard.guard import Guard
from gatling_guard.report import explain_run
from gatling_guard.report.style import STYLE
from gatling_guard.report.svg import as_svg

guard = Guard()
with guard.session(run_id="demo", instruction=INSTRUCTION):
    tools = {tool.__name__: guard.wrap(tool) for tool in World().tools()}
    for _, name, arguments in SCRIPT:
        tools[name](**arguments)
found = explain_run(guard.ledger, "demo")
svg, _ = as_svg(found.nodes, found.links, "call-6")
ground = '<rect width="100%" height="100%" rx="10" style="fill: var(--card)"/>'
head, _, rest = svg.partition(">")
target = Path(__file__).parents[1] / "docs" / "explain.svg"
target.write_text(f"{head}><style>{STYLE}</style>{ground}{rest}\n", encoding="utf-8")
