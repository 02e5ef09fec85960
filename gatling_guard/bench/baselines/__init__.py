"""Published rules without learning (evidence.md 3), to stand beside the guard in one run."""

from gatling_guard.bench.baselines.rules import BASELINES, BaselineRun, BaselineSubject

__all__ = ["BASELINES", "BaselineRun", "BaselineSubject"]
