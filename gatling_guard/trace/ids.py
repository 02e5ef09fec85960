"""The table of an inverted index: a key and the ids of the spans that have it."""

from __future__ import annotations

from collections.abc import Container, Hashable, Sequence


class Ids(dict[Hashable, "int | list[int]"]):
    """Key -> ids in order. Most keys have one id only, which then costs no list."""

    def put(self, key: Hashable, at: int, most: int = 1 << 30) -> int:
        """Add one id; beyond `most` only the newest is kept. Returns how many there were."""
        known = self.get(key)
        if known is None:
            self[key] = at
            return 0
        if isinstance(known, int):
            if most > 1:
                self[key] = [known, at]
            return 1
        if len(known) < most:
            known.append(at)
        else:  # the newest outlives the others
            known[-1] = at
        return len(known)

    def ids(self, key: Hashable) -> Sequence[int]:
        """The ids of a key, oldest first."""
        known = self.get(key, ())
        return (known,) if isinstance(known, int) else known

    def keep(self, alive: Container[Hashable]) -> None:
        """Drop the ids that are not alive, and the keys that are left without any."""
        for key, known in list(self.items()):
            ids = [at for at in ((known,) if isinstance(known, int) else known) if at in alive]
            if not ids:
                del self[key]
            else:
                self[key] = ids[0] if len(ids) == 1 else ids
