"""How much sensitive data a plan touches: the sum that no repair may raise (R60)."""

from __future__ import annotations

from gatling_guard.catalog.types import ToolSpec
from gatling_guard.energy.scope import BUDGETS
from gatling_guard.plan import ToolCall
from gatling_guard.repair.narrower import is_size
from gatling_guard.repair.types import Draft, Scene
from gatling_guard.trace.amounts import number


def exposure(draft: Draft, scene: Scene, *, beside: Draft | None = None) -> float:
    """Sum of sensitivity times volume over all calls that do not wait (R60).

    A call that says neither counts with the scope of its tool, and with the largest size or the
    longest list among its arguments.

    Args:
        draft: the plan.
        scene: its tools.
        beside: leave out what stands there too: it adds the same to both.
    """
    return sum(
        _exposed(call, scene.specs(call.tool_name))
        for call in draft.plan.nodes
        if call.node_id not in draft.holds and not (beside is not None and _in(call, beside))
    )


def _in(call: ToolCall, draft: Draft) -> bool:
    return draft.plan.calls.get(call.node_id) is call and call.node_id not in draft.holds


def _exposed(call: ToolCall, spec: ToolSpec | None) -> float:
    sensitivity = call.sensitivity
    if sensitivity is None:
        sensitivity = spec.profile.scope if spec is not None else 10
    return float(sensitivity * (call.volume if call.volume is not None else _volume(call, spec)))


def _volume(call: ToolCall, spec: ToolSpec | None) -> float:
    """Rows that a call asks for, by its arguments, defaults included; at least one."""
    properties = (spec.parameters.get("properties") if spec is not None else None) or {}
    sizes = [1.0]
    for name, schema in properties.items():
        default = schema.get("default") if isinstance(schema, dict) else None
        if name not in call.arguments and is_size(name):
            sizes.append(float(number(default) or max(BUDGETS.values())))
    for name, value in call.arguments.items():
        if isinstance(value, list):
            sizes.append(len(value))
        elif is_size(name) and (size := number(value)) is not None:
            sizes.append(float(size))
    return max(sizes)
