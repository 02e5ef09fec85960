"""The variants that `ablation.py` compares: the guard with one part more at a time.

Every variant has scorers of its own: they keep rows of texts, and a later one would be faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatling_guard.bench.comparison import Line
from gatling_guard.bench.labels import row_truth, step_verdicts
from gatling_guard.bench.metrics import GOAL_AS_USER
from gatling_guard.bench.outcomes import Outcome
from gatling_guard.bench.replay import Replay, replay_trace
from gatling_guard.bench.risks import RiskRun, benign
from gatling_guard.bench.subject import GuardSubject, Judge, Toolset
from gatling_guard.decision import Decision
from gatling_guard.encoders import load_encoders
from gatling_guard.encoders.precise import PreciseScorer
from gatling_guard.encoders.scorer import RivalScorer
from gatling_guard.energy.attribution import Latents
from gatling_guard.energy.calibration import ToolsetCalibration
from gatling_guard.energy.conformal import fit
from gatling_guard.energy.residual import Residual
from gatling_guard.energy.risk import toolset_digest
from gatling_guard.energy.types import TERMS, Share
from gatling_guard.errors import ConfigurationError
from gatling_guard.guard import Guard
from gatling_guard.pipeline import LearnedParts, ToolRequest
from gatling_guard.plan import digest
from gatling_guard.policy import Policy
from gatling_guard.trace import RecordedTrace

STRUCTURE, STATIC, JUDGE, ENCODERS, HALF, CALIBRATED = (
    "structure", "+ attribution", "+ judge", "+ encoders", "judge, half", "+ calibration",
)  # fmt: skip
NAMES = (STRUCTURE, STATIC, JUDGE, ENCODERS, HALF, CALIBRATED)


class Watched(Residual):
    """The heads, which keep what they were shown of every call."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.noted: dict[str, tuple[Any, Latents | None]] = {}

    def __call__(
        self, facts: Any, attribution: Any, structure: Any, latents: Latents | None = None,
        **options: Any,
    ) -> tuple[Share, ...]:  # fmt: skip
        """As the heads."""
        self.noted[facts.call.node_id] = ((facts, attribution, structure), latents)
        return super().__call__(facts, attribution, structure, latents, **options)

    def signals(self, call_id: str) -> dict[str, float] | None:
        """What head, scorer and encoders say of a call; None where one of them says nothing."""
        shown, latents = self.noted.get(call_id, (None, None))
        found = self.risks(*shown) if shown is not None else None
        if found is None or latents is None:
            return None
        return {
            **found.values,
            "scorer margin": found.features["margin"],
            "predictor margin": latents.margin,
            "predictor error": latents.error,
            "model energy": sum(latents.energies),
            **{f"model {term}": e for term, e in zip(TERMS, latents.energies, strict=True)},
        }


@dataclass
class Timed:
    """A session whose checks are timed."""

    judge: Judge
    seconds: list[float]

    def check(self, call: ToolRequest) -> Decision:
        """Timed; the rest is as ever."""
        began = time.process_time()
        decision = self.judge.check(call)
        self.seconds.append(time.process_time() - began)
        return decision

    def settle(
        self, call_id: str, output: object = None, *, error: BaseException | None = None
    ) -> None:
        """As the session."""
        self.judge.settle(call_id, output, error=error)

    def approve(self, hold_id: str, *, by: str, expires_in: float | None = None) -> object:
        """As the session."""
        return self.judge.approve(hold_id, by=by, expires_in=expires_in)

    def deny(self, hold_id: str, *, by: str) -> None:
        """As the session."""
        self.judge.deny(hold_id, by=by)


class Variant(GuardSubject):
    """The guard with some parts; a calibration serves every tool set of the rows."""

    def __init__(self, learned: Any, calibration: ToolsetCalibration | None = None) -> None:
        super().__init__("standard", learned=learned)
        self.seconds: list[float] = []
        self.calibration = calibration

    def begin(self, tools: Toolset, instruction: str, system: str | None = None) -> Judge:
        """A timed session."""
        return Timed(super().begin(tools, instruction, system), self.seconds)

    def guard(self, tools: Toolset, policy: Policy | None = None) -> Guard:
        """With the calibration under the digests of this policy and these tools."""
        if self.calibration is not None:
            served = {"toolset": toolset_digest(tools.specs), "policy": self.policy.digest}
            self._options["calibration"] = self.calibration.model_copy(update=served)
        return super().guard(tools, policy)


@dataclass
class Rows(Replay):
    """Rows in memory as if they came from a file."""

    given: Sequence[RecordedTrace] = field(default_factory=tuple)

    def traces(self) -> Iterator[RecordedTrace]:
        """All of them."""
        yield from self.given


@dataclass
class Result:
    """One variant on some rows."""

    outcomes: list[Outcome]
    seconds: list[float]
    signals: list[tuple[dict[str, float], bool]] = field(default_factory=list)
    """Of calls whose label is known, with whether they are an attacker's."""
    calibration: ToolsetCalibration | None = None


def first_half(trace: RecordedTrace) -> bool:
    """Whether the row's user task is among those that a calibration is made from."""
    return int(digest(repr(row_truth(trace).group))[0], 16) % 2 == 0


def judged(variant: Variant, traces: Sequence[RecordedTrace]) -> Result:
    """Put rows to a variant."""
    line, signals = Line(), []
    watched = getattr(variant._options["learned"], "residual", None)
    for trace in traces:
        line.add(row_truth(trace), step_verdicts(replay_trace(variant, trace)))
        if not isinstance(watched, Watched):
            continue
        for i, step in enumerate(trace.steps, start=1):
            truth = False if trace.label == "benign" else step.malicious
            found = watched.signals(f"call-{i}")
            if found is not None and truth is not None:
                signals.append((found, truth))
        watched.noted.clear()
    variant.close()
    return Result(line.outcomes, variant.seconds, signals, variant.calibration)


def calibrated(parts: LearnedParts, traces: Sequence[RecordedTrace]) -> ToolsetCalibration | None:
    """Thresholds from benign runs; None where no call of them was judged."""
    kept = [t for t in traces if benign(t) and t.meta.get("kind") != GOAL_AS_USER]
    subject = GuardSubject("standard", shadow=True, learned=parts)
    run = RiskRun(Rows(Path("-"), given=kept), subject)
    tasks = list(run.tasks())
    try:
        return fit(
            tasks, parts.defaults, parts.models, policy=subject.policy.digest, toolset=run.toolset
        )
    except ConfigurationError:
        return None


def parts_of(heads: Path, *, judge: bool = True, encoders: bool = False) -> LearnedParts:
    """Learned parts, loaded anew."""
    return LearnedParts(
        RivalScorer.from_pretrained(),
        Watched(heads) if encoders else Residual(heads),
        PreciseScorer.from_pretrained() if judge else None,
        load_encoders() if encoders else None,
    )


def ablate(
    traces: Sequence[RecordedTrace], heads: Path, names: Sequence[str] = NAMES
) -> dict[str, Result]:
    """Every variant on the same rows, but for the last two, which have half of them.

    Args:
        traces: with their tools.
        heads: folder of heads.
        names: of `NAMES`; without benign runs to calibrate on the last one is left out.
    """
    half = [trace for trace in traces if not first_half(trace)]
    learned: Mapping[str, Callable[[], Any]] = {
        STRUCTURE: lambda: "off",
        STATIC: lambda: parts_of(heads, judge=False),
        JUDGE: lambda: parts_of(heads),
        ENCODERS: lambda: parts_of(heads, encoders=True),
        HALF: lambda: parts_of(heads),
    }
    found = {}
    for name in names:
        if name != CALIBRATED:
            variant = Variant(learned[name]())
            found[name] = judged(variant, half if name == HALF else traces)
            continue
        made = calibrated(parts_of(heads), [trace for trace in traces if first_half(trace)])
        if made is not None:
            found[name] = judged(Variant(parts_of(heads), made), half)
    return found
