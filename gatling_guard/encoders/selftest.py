"""Three stored cases that a loaded model must reproduce before it may judge anything.

Sees: what goes into the encoders and what comes out of them. Does not see: weights or files. A
wrong matrix, a wrong tokeniser table, a runtime that computes something else: all of them move
these numbers although every file hash fits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from gatling_guard.errors import ConfigurationError, InputError, Issue
from gatling_guard.plan import parse_json

FILE = "selftest.json"

Precision = Literal["fp32", "int8"]
TOLERANCE: Mapping[Precision, float] = {"fp32": 2e-4, "int8": 2e-2}
"""Largest difference of an energy, and relative one of a norm. That of int8 is wide because
instruction sets round differently: it finds gross damage, that of fp32 also small one."""
COMPONENTS = 8
_COMPONENT = 5.0
"""Single components, in units of the vector's root mean square, may move by so many tolerances:
rounding moves one number more than it moves an angle or a length."""


class Encoders(Protocol):
    """What is tested: both encoders, of any backend and precision."""

    @property
    def execution(self) -> Any:
        """Callable: plan (a mapping) -> z_e `[1, latent_dim]`."""

    @property
    def governance(self) -> Any:
        """Callable: policy, role, context -> z_g `[1, latent_dim]`."""

    @property
    def energy(self) -> Any:
        """`energies(z_g, z_e, state, call, expected)` -> `[1, 4]`, or None."""

    @property
    def config(self) -> Any:
        """`EncoderConfig` of them all."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Vector(_Section):
    """What is kept of one embedding."""

    norm: FiniteFloat
    dim: Annotated[int, Field(ge=1)]
    first: tuple[FiniteFloat, ...]
    """The first `COMPONENTS`."""


class Expected(_Section):
    """What one case came to."""

    energy: FiniteFloat
    """1 - cosine(z_g, z_e)."""
    z_e: Vector
    z_g: Vector
    learned: tuple[FiniteFloat, ...] | None = None
    """The learned energies of `_energy_inputs`; null where the model has none."""


class Case(_Section):
    """One plan under one authority, and what it came to by precision."""

    name: str
    plan: dict[str, Any]
    policy: dict[str, Any]
    role: str
    context: dict[str, Any]
    expected: dict[Precision, Expected]


class Drift(NamedTuple):
    """Largest differences of a run that passed."""

    energy: float
    norm: float
    component: float


_CASES = TypeAdapter(Annotated[tuple[Case, ...], Field(max_length=10)])


def make_cases(by_precision: Mapping[Precision, Encoders]) -> tuple[Case, ...]:
    """The three cases with what these encoders make of them."""
    return tuple(
        Case(
            name=name,
            plan=plan,
            policy=_POLICY,
            role=role,
            context={"instruction": instruction},
            expected={
                precision: _measured(encoders, plan, _POLICY, role, {"instruction": instruction})
                for precision, encoders in by_precision.items()
            },
        )
        for name, plan, role, instruction in _INPUTS
    )


def run(encoders: Encoders, cases: Sequence[Case], precision: Precision) -> Drift:
    """Encode every case and compare.

    Returns:
        The largest differences, all within tolerance.

    Raises:
        ConfigurationError: a case that came out differently, or none is stored for `precision`.
    """
    worst = Drift(0.0, 0.0, 0.0)
    for case in cases:
        stored = case.expected.get(precision)
        if stored is None:
            raise ConfigurationError(f"self-test {case.name!r}: nothing stored for {precision}")
        found = _measured(encoders, case.plan, case.policy, case.role, case.context)
        worst = Drift(*map(max, worst, _compared(case.name, stored, found, TOLERANCE[precision])))
    if not cases:
        raise ConfigurationError("self-test: no cases are stored")
    return worst


def to_bytes(cases: Sequence[Case]) -> bytes:
    """The file `selftest.json`."""
    values = _CASES.dump_python(tuple(cases), mode="json")
    return json.dumps(values, indent=1, sort_keys=True, allow_nan=False).encode("ascii") + b"\n"


def from_bytes(data: bytes) -> tuple[Case, ...]:
    """The inverse of `to_bytes`.

    Raises:
        InputError: every fault, by JSON pointer.
    """
    try:
        return _CASES.validate_python(parse_json(data, what=FILE))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        places = ("".join(f"/{part}" for part in detail["loc"]) for detail in details)
        issues = [Issue(at, d["msg"]) for at, d in zip(places, details, strict=True)]
        raise InputError(issues, what=FILE) from None


def _measured(
    encoders: Encoders,
    plan: Mapping[str, Any],
    policy: Mapping[str, Any],
    role: str,
    context: Mapping[str, Any],
) -> Expected:
    z_e = _flat(encoders.execution(plan))
    z_g = _flat(encoders.governance(policy, role, context))
    norms = float(np.linalg.norm(z_e)), float(np.linalg.norm(z_g))
    if not (np.isfinite(norms).all() and min(norms) > 0 and z_e.shape == z_g.shape):
        raise ConfigurationError(
            f"self-test: z_e {z_e.shape} has norm {norms[0]}, z_g {z_g.shape} has norm {norms[1]}"
        )
    energy = 1.0 - float(z_e @ z_g) / (norms[0] * norms[1])
    learned = None
    if encoders.energy is not None:
        learned = tuple(
            map(float, encoders.energy.energies(*_energy_inputs(encoders, z_g, z_e))[0])
        )
    return Expected(
        energy=energy, z_e=_kept(z_e, norms[0]), z_g=_kept(z_g, norms[1]), learned=learned
    )


def _energy_inputs(
    encoders: Encoders, z_g: NDArray[np.float64], z_e: NDArray[np.float64]
) -> list[NDArray[np.float32]]:
    """Some input of the learned energies: parts of z_e and z_g as state, call and expected call."""
    config = encoders.config
    call, expected = np.resize(z_e, config.call_dim), np.resize(z_g, config.call_dim)
    given = (
        z_g, z_e, np.resize(z_e, config.hidden_dim),
        call / np.linalg.norm(call), expected / np.linalg.norm(expected),
    )  # fmt: skip
    return [np.asarray(array[None], np.float32) for array in given]


def _flat(vector: Any) -> NDArray[np.float64]:
    """`[1, latent]` of any kind -> `[latent]`."""
    plain = vector.detach().cpu() if hasattr(vector, "detach") else vector
    return np.asarray(plain, dtype=np.float64).reshape(-1)


def _kept(vector: NDArray[np.float64], norm: float) -> Vector:
    return Vector(norm=norm, dim=vector.size, first=tuple(map(float, vector[:COMPONENTS])))


def _compared(case: str, stored: Expected, found: Expected, tolerance: float) -> Drift:
    pairs = (("z_e", stored.z_e, found.z_e), ("z_g", stored.z_g, found.z_g))
    for what, old, new in pairs:
        if (old.dim, len(old.first)) != (new.dim, len(new.first)):
            raise ConfigurationError(
                f"self-test {case!r}: {what} has {new.dim} dimensions, stored is one of {old.dim}"
            )
    energy = abs(stored.energy - found.energy)
    _require(case, "energy", stored.energy, found.energy, energy, tolerance)
    norm = component = 0.0
    for what, old, new in pairs:
        relative = abs(new.norm - old.norm) / (abs(old.norm) or 1e-30)
        _require(case, f"|{what}|", old.norm, new.norm, relative, tolerance)
        unit = (abs(old.norm) or 1e-30) / old.dim**0.5
        for i, (a, b) in enumerate(zip(old.first, new.first, strict=True)):
            moved = abs(a - b) / unit
            _require(case, f"{what}[{i}]", a, b, moved, _COMPONENT * tolerance)
            component = max(component, moved)
        norm = max(norm, relative)
    if len(stored.learned or ()) != len(found.learned or ()):
        raise ConfigurationError(
            f"self-test {case!r}: {len(found.learned or ())} learned energies, stored are"
            f" {len(stored.learned or ())}"
        )
    for i, (a, b) in enumerate(zip(stored.learned or (), found.learned or (), strict=True)):
        moved = abs(a - b) / max(1.0, abs(a))
        _require(case, f"learned[{i}]", a, b, moved, _COMPONENT * tolerance)
        component = max(component, moved)
    return Drift(energy, norm, component)


def _require(case: str, what: str, old: float, new: float, moved: float, limit: float) -> None:
    if not moved <= limit:  # not `>`: a NaN passes no test
        raise ConfigurationError(
            f"self-test {case!r}: {what} is {new:.7g}, stored is {old:.7g}: they differ by"
            f" {moved:.3g}, at most {limit:g} is tolerated. These are not the weights that were"
            " saved, or this machine computes something else"
        )


_POLICY: dict[str, Any] = {
    "version": 1,
    "name": "selftest",
    "roles": {
        "analyst": {"tools": ["read_*", "search_*", "send_email"], "scope": 4},
        "guest": {"tools": ["search_*"], "deny": ["search_payroll"], "effects": ["read"]},
    },
    "tools": {
        "send_email": {"effect": "send", "sink": True, "max_calls": 3},
        "wire_transfer": {"effect": "pay", "allow": False},
    },
}


def _call(node: int, tool: str, tier: int, scope: int, **arguments: Any) -> dict[str, Any]:
    return {
        "node_id": str(node),
        "tool_name": tool,
        "arguments": arguments,
        "provenance_tier": tier,
        "scope_level": scope,
    }


_FILTER = {"since": "2026-01-01", "tags": ["invoice", "open"], "range": {"min": -0.5, "max": 1e6}}
_THREE = [
    _call(1, "search_mail", 1, 2, query="invoice", limit=5),
    _call(2, "read_mail", 3, 2, id=41, headers=True),
    _call(3, "send_email", 3, 4, to=["ann@example.org"], body="", options={"urgent": None}),
]
_SEVEN = [
    _call(1, "read_file", 1, 1, path="/srv/reports/q3.csv"),
    _call(2, "search_documents", 2, 3, filter=_FILTER),
    _call(3, "read_web_page", 3, 1, url="https://example.org/a?b=1", timeout=2.5),
    _call(4, "merge_tables", 3, 3, keys=["id", "date"], how="outer", limit=10000),
    _call(5, "create_chart", 3, 3, data={"rows": [[1, 2], [3, 4]], "style": {"dark": False}}),
    _call(6, "wire_transfer", 3, 9, amount=1250.75, iban="DE89370400440532013000"),
    _call(7, "delete_file", 3, 10, path="/srv/reports/q3.csv", force=True),
]
_INPUTS: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    (
        "one call",
        {"nodes": [_call(1, "search_web", 1, 1, query="weather in Bern")], "edges": []},
        "guest",
        "What will the weather be in Bern tomorrow?",
    ),
    (
        "three calls",
        {"nodes": _THREE, "edges": [["1", "2"], ["2", "3"]]},
        "analyst",
        "Find the last invoice and tell Ann that it was paid.",
    ),
    (
        "seven calls",
        {
            "nodes": _SEVEN,
            "edges": [["1", "4"], ["2", "4"], ["3", "4"], ["4", "5"], ["3", "6"], ["1", "7"]],
        },
        "analyst",
        "Merge the report with what the web page says. Draw a chart.",
    ),
)
