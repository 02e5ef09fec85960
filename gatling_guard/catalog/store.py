"""The catalog: the tools a guard knows, by name and by alias."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gatling_guard.catalog.build import spec_digest
from gatling_guard.catalog.types import ToolSpec
from gatling_guard.errors import Issue, ToolSpecError


@dataclass(frozen=True, slots=True)
class _State:
    """One version; never changed once it can be seen."""

    specs: Mapping[str, ToolSpec] = field(default_factory=lambda: MappingProxyType({}))
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    generation: int = 0


class Catalog:
    """The tools a guard knows.

    Readers never wait: a change builds a new version and swaps it in (copy on write), so a
    decision that has begun sees one consistent catalog. Names match exactly; a name that merely
    looks alike is another tool.

    Args:
        specs: tools to begin with.

    Raises:
        ToolSpecError: two of them claim the same name or alias.
    """

    def __init__(self, specs: Iterable[ToolSpec] = ()) -> None:
        self._lock = threading.Lock()
        self._state = _State()
        for spec in specs:
            if self._state.specs.get(spec.name, spec) != spec:
                raise ToolSpecError([Issue("/name", f"{spec.name!r} is described twice")])
            self.add(spec)

    @property
    def generation(self) -> int:
        """Counts the changes: who kept something derived from the catalog can see it is stale."""
        return self._state.generation

    def add(self, spec: ToolSpec) -> None:
        """Register a tool; the same name again replaces it.

        Adding what is already there changes nothing, and the generation stays.

        Raises:
            ToolSpecError: its name or an alias belongs to another tool.
        """
        with self._lock:
            state = self._state
            known = state.specs.get(spec.name)
            if known is not None and spec_digest(known) == spec_digest(spec):
                return
            issues = _collisions(spec, state)
            if issues:
                raise ToolSpecError(issues, what=f"tool {spec.name!r:.80}")
            aliases = {a: name for a, name in state.aliases.items() if name != spec.name}
            aliases |= dict.fromkeys(spec.aliases, spec.name)
            self._state = _State(
                MappingProxyType({**state.specs, spec.name: spec}),
                MappingProxyType(aliases),
                state.generation + 1,
            )

    def get(self, name: str) -> ToolSpec | None:
        """The tool of this name or alias."""
        state = self._state
        spec = state.specs.get(name)
        return spec if spec is not None else state.specs.get(state.aliases.get(name, ""))

    def names(self) -> tuple[str, ...]:
        """Names of all tools in the order of registration; aliases are not among them."""
        return tuple(self._state.specs)

    def __iter__(self) -> Iterator[ToolSpec]:
        """The tools in the order of registration, as of now."""
        return iter(tuple(self._state.specs.values()))

    def __len__(self) -> int:
        return len(self._state.specs)

    def __contains__(self, name: object) -> bool:
        """Whether a tool has this name or alias."""
        return isinstance(name, str) and self.get(name) is not None


def _collisions(spec: ToolSpec, state: _State) -> list[Issue]:
    issues = []
    owner = state.aliases.get(spec.name)
    if owner is not None and owner != spec.name:
        issues.append(Issue("/name", f"{spec.name!r} is an alias of {owner!r}"))
    for i, alias in enumerate(spec.aliases):
        taken = alias if alias in state.specs else state.aliases.get(alias, spec.name)
        if taken != spec.name:
            issues.append(Issue(f"/aliases/{i}", f"{alias!r} is already a name of {taken!r}"))
        elif alias == spec.name or alias in spec.aliases[:i]:
            issues.append(Issue(f"/aliases/{i}", f"{alias!r} is given twice"))
    return issues
