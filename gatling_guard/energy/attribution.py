"""Attribution under rival authorities (design P3): who explains a call best, the user or a text.

Plain numbers for the learned part of the energy (`residual`); `pipeline/rivals.py` computes them.
Sees: cosines of the call's words with what the user said and with what outputs brought in.
Does not see: whether the user delegated; a delegated call reads like an attack (P5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gatling_guard.energy.facts import EnergyFacts
from gatling_guard.energy.risk import EnergyOfRisk, RiskDefault
from gatling_guard.energy.types import Energy, Share
from gatling_guard.policy import EnergyBounds
from gatling_guard.trace import Span

if TYPE_CHECKING:  # a guard that is only made needs no numpy
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Attribution:
    """One call compared with every sentence of the user and every untrusted text.

    Cosines are in -1..1; where there is nothing to compare with they are -1.
    """

    said: float
    """Of the call with the nearest sentence of the user, or a whole message."""
    span: float
    """Of the call with the nearest untrusted text."""
    directive: float
    """The same among those that tell somebody to do something."""
    share: float
    """0..1: softmax mass (temperature 0.05) on untrusted texts against the user's sentences."""
    rank: int
    """Place of the user's nearest sentence among all texts, from 1 on."""
    lead: float
    """`span` minus the cosine of the second nearest text; 0 where there are not two."""
    sponsor: float
    """Of the nearest untrusted text with the user's sentence nearest to that text."""
    tool_said: float
    """Of the tool's name and description with the user's nearest sentence."""
    delegated: float = 0.0
    """A logit: above 0 the user's words more likely let somebody's text give parties, amounts or
    things."""
    entrusted: float = 0.0
    """A logit: above 0 they more likely let somebody's text say what is to be done itself."""
    judged: float | None = None
    """A logit: above 0 the judge, which read message, call and rival together, takes the call for
    somebody else's. None where it was not asked: outside the grey band, or no time was left."""
    rival: Span | None = None
    """The untrusted text nearest to the call."""
    rival_directive: Span | None = None

    @property
    def margin(self) -> float:
        """-2..2: above 0 an untrusted text is nearer than anything the user said."""
        return self.span - self.said

    @property
    def margin_directive(self) -> float:
        """The same among texts that tell somebody to do something."""
        return self.directive - self.said


@dataclass(frozen=True, slots=True)
class Latents:
    """What the encoders and the predictor say of a call. Off by default (P10).

    No text of an output enters the plan's embedding (P8); one stands for the instruction only in
    `rival_error`.
    """

    energies: tuple[float, float, float, float]
    """Of the terms in the order of `TERMS`, >= 0; zeros where the model has no such part."""
    error: float
    """0..2: 1 - cosine of the call with what the predictor expected under the user's authority."""
    rival_error: float
    """The same under the nearest untrusted text in the instruction's place; 2 without one."""

    @property
    def margin(self) -> float:
        """-2..2: above 0 the untrusted text predicts the call better than the instruction."""
        return self.error - self.rival_error


class LearnedEnergy(Protocol):
    """What a fitted head is to the guard (`residual.Residual`)."""

    @property
    def id(self) -> str:
        """Changes with the weights; part of every decision's id."""
        ...

    @property
    def grey(self) -> tuple[float, float]:
        """Static margins between which the judge is asked; empty where low > high."""
        ...

    @property
    def factors(self) -> Mapping[str, float]:
        """What circumstantial shares of the structure count beside this part, by kind, 0..1."""
        ...

    @property
    def defaults(self) -> Mapping[str, RiskDefault]:
        """Shipped thresholds of every risk; a user's calibration replaces them."""
        ...

    def delegation(
        self, row: NDArray[np.float32], reading: NDArray[np.float32]
    ) -> tuple[float, float]:
        """`Attribution.delegated` and `.entrusted` of one message of the user.

        Args:
            row: of the message by the static scorer.
            reading: of the message by the judge.
        """
        ...

    def __call__(
        self,
        facts: EnergyFacts,
        attribution: Attribution | None,
        structure: Energy,
        latents: Latents | None = None,
        *,
        bounds: EnergyBounds,
        energy_of: EnergyOfRisk | None = None,
    ) -> tuple[Share, ...]:
        """Shares >= 0, in addition to those of the structure.

        Args:
            facts: of the call.
            attribution: None where nothing untrusted was read, for calls that can do no harm, and
                for a whole plan ahead of time.
            structure: its structural energy, as it is without learned parts.
            latents: where encoders are on.
            bounds: levels of the policy in force.
            energy_of: asked once for each risk that counts for the call; None: the shipped
                thresholds.
        """
        ...


@dataclass(frozen=True, slots=True)
class Silent:
    """Adds nothing: attributions are computed and recorded, and the structure decides."""

    grey: tuple[float, float] = (1.0, -1.0)
    """See `LearnedEnergy.grey`."""
    id: str = "silent"
    factors: Mapping[str, float] = field(default_factory=dict)
    defaults: Mapping[str, RiskDefault] = field(default_factory=dict)

    def delegation(
        self, row: NDArray[np.float32], reading: NDArray[np.float32]
    ) -> tuple[float, float]:
        """Nobody knows."""
        return 0.0, 0.0

    def __call__(
        self,
        facts: EnergyFacts,
        attribution: Attribution | None,
        structure: Energy,
        latents: Latents | None = None,
        *,
        bounds: EnergyBounds,
        energy_of: EnergyOfRisk | None = None,
    ) -> tuple[Share, ...]:
        """Nothing."""
        return ()
