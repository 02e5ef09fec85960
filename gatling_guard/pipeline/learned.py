"""The learned parts of a guard: what is loaded, what is missing, and what they add to a check.

Loaded once per process, at the first session: `import gatling_guard` and `Guard(...)` stay light.
A missing file means that the exact structure decides alone, and the guard says so (P7); a damaged
one is an error that names it. Learned parts only ever add energy (P1): see `learned_shares`.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from gatling_guard.catalog import Effect, ToolSpec
from gatling_guard.energy import CAPS, TERMS, Energy, EnergyFacts, Share
from gatling_guard.energy.attribution import Attribution, Latents, LearnedEnergy
from gatling_guard.errors import ConfigurationError
from gatling_guard.ledger import shown_path
from gatling_guard.policy import EnergyBounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gatling_guard.encoders.bundle import Encoders
    from gatling_guard.energy.risk import RiskDefault
    from gatling_guard.pipeline.latents import PlanLatents
    from gatling_guard.pipeline.rivals import Embedder, RivalIndex
    from gatling_guard.pipeline.stages import Work

PRETRAINED = Path(__file__).parents[1] / "pretrained"
_TEXT, _STATIC, _HEADS, _PRECISE = "text-1", "scorer-1", "heads-1", "precise-3"
_NEEDED = (_TEXT, _STATIC, _HEADS)
"""Without one of these nothing is learned."""
MAX_RISK = 1e9
"""The highest risk that is recorded."""
SPARE = 0.4
"""Share of a check's time that is left to the other stages: later, no text is read precisely."""


class Judge(Protocol):
    """What reads texts together."""

    id: str

    def judge(self, instruction: str, call: str, rival: str = "") -> float:
        """See `encoders.precise.PreciseScorer.judge`."""
        ...

    def reading(self, message: str) -> NDArray[np.float32]:
        """See `encoders.precise.PreciseScorer.reading`."""
        ...


@dataclass(frozen=True)
class LearnedParts:
    """What a guard may use beside the exact structure. Immutable: shared by threads and guards."""

    scorer: Embedder
    """Compares every text: `encoders.scorer.RivalScorer`."""
    residual: LearnedEnergy
    """From attribution to energy: `energy.residual.Residual`."""
    precise: Judge | None = None
    """Reads message, call and nearest text together, in the grey band of `residual`:
    `encoders.precise.PreciseScorer`."""
    encoders: Encoders | None = None
    """Both encoders and the predictor: `encoders.load_encoders`."""
    windows: bool = False
    """Two neighbouring sentences count as a text of their own, too."""

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Names of all parts; part of every decision's id."""
        precise = (self.precise.id,) if self.precise is not None else ()
        encoders = (self.encoders.execution.id,) if self.encoders is not None else ()
        forms = ("windows",) if self.windows else ()
        return (self.scorer.id, *precise, *encoders, self.residual.id, *forms)

    @property
    def defaults(self) -> Mapping[str, RiskDefault]:
        """Shipped thresholds of the risks, by name."""
        return self.residual.defaults

    @property
    def models(self) -> dict[str, str]:
        """Id of the weights behind each risk."""
        return dict.fromkeys(self.defaults, self.residual.id)

    def rivals(self) -> RivalIndex:
        """The empty index of a new session."""
        from gatling_guard.pipeline.rivals import RivalIndex

        if self.precise is None:
            return RivalIndex(self.scorer, windows=self.windows)
        return RivalIndex(self.scorer, windows=self.windows, leaves=self.leaves)

    def leaves(self, message: str) -> tuple[float, float]:
        """What a message leaves to others: see `Attribution.delegated` and `.entrusted`."""
        assert self.precise is not None
        row, reading = self.scorer.embed_texts([message])[0], self.precise.reading(message)
        return self.residual.delegation(row, reading)

    def latents(self) -> PlanLatents | None:
        """The empty plan of a new session, where the encoders are on."""
        if self.encoders is None:
            return None
        from gatling_guard.pipeline.latents import PlanLatents

        return PlanLatents(self.encoders)

    @classmethod
    def shipped(cls) -> LearnedParts:
        """The parts that came with this version, loaded once per process.

        Raises:
            ConfigurationError: one is missing or damaged; the message names the file.
        """
        for name in _NEEDED:
            if (file := missing_file(name)) is not None:
                raise ConfigurationError(f"{PRETRAINED / file}: is missing")
        return _loaded()


Wanted = Literal["auto", "off"] | LearnedParts


class Learned:
    """The parts of one guard, found when the first session needs them. Thread-safe."""

    def __init__(self, wanted: Wanted = "off") -> None:
        """Remembers what is wanted; loads nothing.

        Raises:
            ConfigurationError: it is none of "auto", "off" and `LearnedParts`.
        """
        if wanted not in ("auto", "off") and not isinstance(wanted, LearnedParts):
            raise ConfigurationError(f"learned is 'auto', 'off' or LearnedParts, not {wanted!r}")
        self._wanted = wanted

    @property
    def off(self) -> bool:
        """Whether no learned part is wanted."""
        return self._wanted == "off"

    @cached_property
    def missing(self) -> str:
        """Why structure alone decides though more was wanted; "" where nothing is missing."""
        if self._wanted != "auto":
            return ""
        files = (missing_file(name) for name in _NEEDED)
        return next((f"{file} is missing" for file in files if file is not None), "")

    @cached_property
    def parts(self) -> LearnedParts | None:
        """The parts, None where structure alone decides.

        Raises:
            ConfigurationError: a file is damaged.
        """
        if isinstance(self._wanted, LearnedParts):
            return self._wanted
        return None if self._wanted == "off" or self.missing else _loaded()

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the parts."""
        return self.parts.ids if self.parts is not None else ()

    @property
    def mode(self) -> str:
        """For people: which parts decide."""
        if (parts := self.parts) is None:
            return "structure only" + (f": {self.missing}" if self.missing else "")
        why = ""
        if parts.precise is None and self._wanted == "auto" and (file := missing_file(_PRECISE)):
            why = f" ({file} is missing: the static scorer decides alone)"
        return f"structure + {' + '.join(parts.ids)}{why}"


def missing_file(name: str) -> str | None:
    """The first file of a shipped folder that is not there, None where all are.

    A manifest that cannot be read counts as there: whoever loads it says what is wrong.
    """
    folder = PRETRAINED / name
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return f"{name}/manifest.json"
    try:
        files = list(json.loads(manifest.read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return next((f"{name}/{file}" for file in files if not (folder / str(file)).is_file()), None)


_lock = threading.Lock()
_kept: dict[tuple[bytes, ...], LearnedParts] = {}


def _loaded() -> LearnedParts:
    """The shipped parts; loaded again only where a manifest has changed."""
    with _lock:
        key = tuple(_manifest(name) for name in (*_NEEDED, _PRECISE))
        if key not in _kept:
            found = _load()
            _kept.clear()
            _kept[key] = found
        return _kept[key]


def _manifest(name: str) -> bytes:
    path = PRETRAINED / name / "manifest.json"
    try:
        return str(path).encode() + path.read_bytes()
    except OSError:
        return b""


def _load() -> LearnedParts:
    from gatling_guard.encoders.scorer import RivalScorer
    from gatling_guard.energy.residual import Residual

    residual = Residual.from_pretrained(PRETRAINED / _HEADS)
    scorer = RivalScorer.from_pretrained(PRETRAINED / _STATIC)
    low, high = residual.grey
    precise = None
    if low <= high and missing_file(_PRECISE) is None:
        from gatling_guard.encoders.precise import PreciseScorer

        precise = PreciseScorer.from_pretrained(PRETRAINED / _PRECISE)
    for part in (scorer, precise):
        if part is not None and residual.fitted_on and part.id not in residual.fitted_on:
            raise ConfigurationError(
                f"{PRETRAINED / _HEADS}: was fitted on {residual.fitted_on}, not on {part.id}"
            )
    return LearnedParts(scorer, residual, precise)


def attribution(work: Work) -> None:
    """Which text explains the call best; in the grey band the judge reads it with the call.

    Nothing for unknown tools, for calls that can do no harm, and before anything untrusted was
    read.
    """
    parts, rivals, spec = work.learned, work.rivals, work.spec
    if parts is None or rivals is None or spec is None or work.call is None:
        return
    if not _can_harm(spec):
        return
    if not len(rivals) and not work.index.untrusted:
        return
    from gatling_guard.encoders.scorer import call_text, tool_text

    call, tool = call_text(work.call), tool_text(spec)
    found = rivals.attribution(call, tool)
    low, high = parts.residual.grey
    judged = None
    if parts.precise is not None and found.rival is not None and low <= found.margin <= high:
        work.hurried = time.monotonic() >= work.until
        if not work.hurried:
            judged = parts.precise.judge(rivals.message(call), call, found.rival.text)
    delegated, entrusted = rivals.left
    work.attribution = replace(found, judged=judged, delegated=delegated, entrusted=entrusted)


def _can_harm(spec: ToolSpec | None) -> bool:
    """A read that changes something (marks mails as read, draws a number) does so for anybody."""
    if spec is None:
        return False
    effect = spec.profile.effect
    return effect.side_effect or spec.profile.egress or effect is Effect.STATE_CHANGING_READ


def latents(work: Work) -> Latents | None:
    """What encoders and predictor say of a call, where they are on."""
    if work.plan_latents is None or work.call is None or not _can_harm(work.spec):
        return None
    rival = work.attribution.rival if work.attribution is not None else None
    return work.plan_latents.of(
        work.call, work.edges, work.spec, work.lineage, policy=work.policy, role=work.role,
        instructions=work.authority.instructions, rival=rival.text if rival else None,
    )  # fmt: skip


def with_learned(work: Work, facts: EnergyFacts, structure: Energy) -> Energy:
    """The structural energy, and what learned parts add to it where there are some.

    They answer the question of the circumstantial shares (who steers this call?) with more to go
    by, so that those count less beside them, by fixed factors that no text and no score can change.
    What is left of the structure is what no learned part can lower. Where nothing was read that a
    call could be compared with, and for a whole plan, they have no answer and it counts in full.

    Whatever a head says, no share is below 0 and no term ends above its cap; what is no finite
    number counts as the cap.
    """
    if work.learned is None:
        return structure
    residual, found, calibration = work.learned.residual, work.attribution, work.calibration

    def energy_of(name: str, risk: float, group: str, bounds: EnergyBounds) -> float:
        work.risks[name] = _noted(risk)
        if calibration is not None:
            return calibration.energy(name, risk, group, bounds)
        return residual.defaults[name].energy(risk, bounds)

    compared = found is not None and found.rival is not None
    floor = structure.scaled(residual.factors) if compared else structure
    shares = residual(
        facts, found, structure, latents(work), bounds=work.policy.energy, energy_of=energy_of
    )
    return floor + _bounded(shares, floor)


def _noted(risk: float) -> float:
    """A risk for receipts and calibrations; what is no finite number is the highest there is."""
    return round(max(0.0, risk), 6) if risk < MAX_RISK else MAX_RISK


def _bounded(shares: Iterable[Share], structure: Energy) -> Energy:
    """The shares as far as there is room below the caps.

    What a full term cannot take counts in another: else a head that is surer, and so puts more of
    its energy into that term, would add less.
    """
    kept: list[Share] = []
    room = {term: max(0.0, CAPS[term] - value) for term, value in structure.terms.items()}
    for share in shares:
        raw = float(share.value)
        left = max(raw, 0.0) if math.isfinite(raw) else CAPS[share.term]
        for term in (share.term, *(other for other in TERMS if other != share.term)):
            value = min(left, room[term])
            left, room[term] = left - value, room[term] - value
            kept.append(replace(share, term=term, value=value))
    return Energy.of(kept)


def attribution_body(found: Attribution, hurried: bool) -> dict[str, object]:
    """An attribution for a receipt: its numbers, and where the nearest text stands."""
    names = ("said", "span", "directive", "share", "rank", "lead", "sponsor", "tool_said")
    body: dict[str, object] = {name: getattr(found, name) for name in names}
    body |= {"delegated": found.delegated, "entrusted": found.entrusted}
    body |= {"judged": "no time" if hurried else found.judged}
    if (rival := found.rival) is not None:
        body |= {"call": rival.call_id, "tool": rival.tool, "path": shown_path(rival.path)}
    return body
