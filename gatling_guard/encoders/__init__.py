"""Embedded encoders: what was authorised and what is planned as vectors, one new node per call.

Importing this room loads nothing: names arrive when they are first used. Those of `_TORCH` need
torch (extra `train`); all others run on numpy and onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatling_guard.encoders.bundle import Encoders, load_encoders
    from gatling_guard.encoders.cache import GovernanceCache
    from gatling_guard.encoders.calls import CallInput
    from gatling_guard.encoders.config import CONFIGS, EncoderConfig
    from gatling_guard.encoders.execution import ExecutionEncoder
    from gatling_guard.encoders.governance import GovernanceEncoder
    from gatling_guard.encoders.prediction import plan_inputs, prediction_error
    from gatling_guard.encoders.predictor import Predictor, TargetEncoder
    from gatling_guard.encoders.state import Candidate, PlanState, Step
    from gatling_guard.encoders.text import text_features

__all__ = [
    "CONFIGS",
    "CallInput",
    "Candidate",
    "EncoderConfig",
    "Encoders",
    "ExecutionEncoder",
    "GovernanceCache",
    "GovernanceEncoder",
    "PlanState",
    "Predictor",
    "Step",
    "TargetEncoder",
    "load_encoders",
    "plan_inputs",
    "prediction_error",
    "text_features",
]

_MODULES = {
    "bundle": ("Encoders", "load_encoders"),
    "cache": ("GovernanceCache",),
    "calls": ("CallInput",),
    "config": ("CONFIGS", "EncoderConfig"),
    "prediction": ("plan_inputs", "prediction_error"),
    "state": ("Candidate", "PlanState", "Step"),
    "text": ("text_features",),
}
_TORCH = {
    "execution": ("ExecutionEncoder",),
    "governance": ("GovernanceEncoder",),
    "predictor": ("Predictor", "TargetEncoder"),
}
_WHERE = {name: room for room, names in (_MODULES | _TORCH).items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            f'{name} needs torch: pip install "gatling-guard[train]"', name="torch"
        ) from None
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
