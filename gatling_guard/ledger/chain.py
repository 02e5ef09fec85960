"""Does the chain hold? Streams over a ledger and names the first entry that does not fit (R141)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatling_guard.errors import LedgerError, LedgerTamperedError
from gatling_guard.ledger.entry import Row, Seal, content
from gatling_guard.plan import canonical_json


def genesis(meta: Mapping[str, str], seal: Seal) -> str:
    """What the first entry is chained to: a hash of the meta table."""
    facts = {name: value for name, value in meta.items() if name != "genesis"}
    return seal.digest(canonical_json(facts).encode("ascii"))


def check_meta(name: str, meta: Mapping[str, str], seal: Seal) -> None:
    """The meta table is the one the ledger was started with, under the same key.

    Raises:
        LedgerTamperedError: it is not.
        LedgerError: the key is needed and was not given.
    """
    if meta.get("hash") == "hmac-sha256" and seal.key is None:
        raise LedgerError(f"{name}: kept under a key; give `key` or set GATLING_LEDGER_KEY")
    if meta.get("hash") != seal.mode:
        raise LedgerTamperedError(
            0, f"{name}: a key is given, but the file says hash={meta.get('hash')!r}: it was "
            "started without a key, or rewritten"
        )  # fmt: skip
    if meta.get("genesis") != genesis(meta, seal):
        raise LedgerTamperedError(0, f"{name}: the meta table was changed, or the key is another")


class Chain:
    """Follows a chain row by row.

    Args:
        first: the genesis.
        seal: how the ledger hashes.
        expected: a head noted elsewhere, as (seq or None, hash); None to look for none.
    """

    def __init__(self, first: str, seal: Seal, expected: tuple[int | None, str] | None) -> None:
        self.seal, self.expected = seal, expected
        self.count, self.last = 0, first
        self._met = expected is None or self._is_expected()

    def follow(self, rows: Iterable[Row]) -> None:
        """Check the next rows.

        Raises:
            LedgerTamperedError: at the first that does not fit.
        """
        for row in rows:
            self._check(row)
            self.count, self.last = self.count + 1, row[8]
            self._met = self._met or self._is_expected()

    def end(self) -> int:
        """The number of entries.

        Raises:
            LedgerTamperedError: the expected head is not among them.
        """
        if not self._met:
            raise LedgerTamperedError(
                self.count + 1, "the expected head is missing: the tail was cut off, or the "
                "ledger was rewritten"
            )  # fmt: skip
        return self.count

    def _is_expected(self) -> bool:
        assert self.expected is not None
        seq, head = self.expected
        return head == self.last and seq in (None, self.count)

    def _check(self, row: Row) -> None:
        seq, ts, kind, run_id, call_id, ref, body, prev_hash, found = row
        expected = self.count + 1
        if seq != expected:
            what = f"entry {expected} is missing" if seq > expected else "inserted before the first"
            raise LedgerTamperedError(min(seq, expected), what)
        if prev_hash != self.last:
            raise LedgerTamperedError(seq, "does not follow from the entry before")
        fields = {"seq": seq, "ts": ts, "kind": kind, "run_id": run_id, "call_id": call_id,
                  "ref": ref, "prev_hash": prev_hash}  # fmt: skip
        if any(isinstance(value, bytes) for value in (body, *fields.values())):
            raise LedgerTamperedError(seq, "its content was changed")
        if self.seal.digest(content(body, **fields)) != found:
            raise LedgerTamperedError(seq, "its content or hash was changed")


def parse_head(text: str | tuple[int, str] | None) -> tuple[int | None, str] | None:
    """A head as `(seq, hash)`, `"seq:hash"` or `"hash"`.

    Raises:
        LedgerError: it is none.
    """
    if text is None:
        return None
    seq, head = text if isinstance(text, tuple) else _split(text)
    if len(head) != 64 or not set(head) <= set("0123456789abcdef"):
        raise LedgerError(f"head {str(text)[:100]!r}: not `seq:hash` or `hash` with 64 hex digits")
    return seq, head


def _split(text: str) -> tuple[int | None, str]:
    seq, colon, head = text.strip().lower().rpartition(":")
    if colon and not (seq.isascii() and seq.isdigit() and len(seq) < 19):
        return None, ""
    return (int(seq) if colon else None), head
