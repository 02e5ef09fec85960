"""z_g and policy summaries by the content of what they were computed from.

A policy that changed in any way misses once and then hits again; the old entry ages out.
Thread-safe: what two threads ask for at the same time is computed once.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, TypeVar

from gatling_guard.encoders.documents import Floats, GovernanceForms, require_list
from gatling_guard.encoders.tree import ContextLike, PolicyLike, policy_document
from gatling_guard.errors import InputError
from gatling_guard.plan import to_json
from gatling_guard.plan.values import canonical_json
from gatling_guard.policy import BUILTIN, Policy

T = TypeVar("T")
A = TypeVar("A")


class LruCache(Generic[T]):
    """The `size` latest values by key.

    Attributes:
        hits: look-ups that found a value, or one that another thread was computing.
        misses: look-ups that computed one.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.hits = self.misses = 0
        self._kept: OrderedDict[str, Future[T]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of a key; `make` computes a missing one. What it raises is not kept."""
        with self._lock:
            known = self._kept.get(key)
            if known is None:
                self.misses += 1
                found = self._kept[key] = Future[T]()
                while len(self._kept) > self.size:
                    self._kept.popitem(last=False)
            else:
                self.hits += 1
                self._kept.move_to_end(key)
        if known is not None:
            return known.result()
        try:
            found.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._kept.get(key) is found:
                    del self._kept[key]
            found.set_exception(error)
            raise
        return found.result()

    def clear(self) -> None:
        """Forget all values; the counters stay."""
        with self._lock:
            self._kept.clear()


class GovernanceCache(Generic[A]):
    """A GovernanceEncoder of either backend with its latest results.

    Args:
        encoder: in eval mode; its `id` is part of every key.
        size: vectors kept, 4 KB each at `latent_dim=1024`.
        summaries: policies kept, 8 KB each at `base`.
    """

    def __init__(
        self,
        encoder: GovernanceForms[A],
        *,
        size: int = 1024,
        summaries: int = 256,
    ) -> None:
        self.encoder = encoder
        self.vectors: LruCache[Floats] = LruCache(size)
        self.summaries: LruCache[A] = LruCache(summaries)

    def __call__(
        self, policy: PolicyLike, user_role: str | None = None, session_context: ContextLike = None
    ) -> Floats:
        """z_g `[1, latent_dim]`, read-only; arguments as for the encoder."""
        policy = _read(policy)
        summary_key = content_key(self.encoder.id, policy, user_role)
        key = content_key(summary_key, None, user_role, session_context)

        def encode() -> Floats:
            with self.encoder.inference():
                summary = self._summary(summary_key, policy, user_role)
                found = self.encoder.encode_contexts(summary, [(user_role, session_context)])
                return self._frozen(found)

        return self.vectors.get(key, encode)

    def counterfactuals(
        self, policy: PolicyLike, user_role: str | None, contexts: Sequence[ContextLike]
    ) -> Floats:
        """z_g `[len(contexts), latent_dim]` under one kept summary; these are not kept.

        Raises:
            InputError: as the encoder, or `contexts` is one text or mapping instead of a list.
        """
        require_list(contexts)
        if not contexts:
            return self._frozen(self.encoder.empty())
        policy = _read(policy)
        key = content_key(self.encoder.id, policy, user_role)
        items = [(user_role, context) for context in contexts]
        with self.encoder.inference():
            summary = self._summary(key, policy, user_role)
            return self._frozen(self.encoder.encode_contexts(summary, items))

    def clear(self) -> None:
        """Forget everything."""
        self.vectors.clear()
        self.summaries.clear()

    def _summary(self, key: str, policy: PolicyLike, role: str | None) -> A:
        return self.summaries.get(key, lambda: self.encoder.summary(policy, role))

    def _frozen(self, array: A) -> Floats:
        found = self.encoder.as_numpy(array)
        found.flags.writeable = False
        return found


def content_key(
    model: str, policy: PolicyLike, role: str | None, context: ContextLike = None
) -> str:
    """SHA-256 of a model id and of the content of policy, role and context.

    A `Policy` is frozen and keeps its digest; a mapping is hashed anew each time, since its owner
    may change it, and a file is read anew.

    Raises:
        InputError: a part that cannot be read.
    """
    digest = hashlib.sha256()
    if role is not None and not isinstance(role, str):
        raise InputError(f"a role is text, not {type(role).__name__}", what="role")
    parts = (_content(model), _policy_content(policy), _content(role))
    for part in (*parts, _content(context, "session context")):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _policy_content(policy: PolicyLike) -> bytes:
    if isinstance(policy, Policy):
        return b"policy " + policy.digest.encode()
    return _content(_read(policy), "policy")


def _read(policy: PolicyLike) -> PolicyLike:
    """A file as the mapping in it: what is hashed is what is encoded, whatever is written since."""
    names_file = isinstance(policy, str) and policy not in BUILTIN and "\n" not in policy
    if names_file or isinstance(policy, Path):
        return policy_document(policy)
    return policy


def _content(part: Any, what: str = "input") -> bytes:
    """The text of one part; a tag keeps its kind apart from the others."""
    if part is None:
        return b"none"
    if isinstance(part, str):
        return b"text " + part.encode("utf-8", "surrogatepass")
    if not isinstance(part, Mapping):
        raise InputError(f"must be text or a mapping, not {type(part).__name__}", what=what)
    try:
        text = canonical_json(part)
        # JSON writes the keys True and "true" alike, the tree does not.
        plain = _has_text_keys(part)
    except (TypeError, ValueError, RecursionError):
        plain = False
    return b"json " + (text if plain else canonical_json(to_json(part))).encode()


def _has_text_keys(value: object) -> bool:
    """Whether all keys of nested mappings are plain texts; `value` holds no cycle."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if not all(type(key) is str for key in item):
                return False
            item = item.values()
        stack.extend(v for v in item if isinstance(v, (dict, list, tuple)))  # type: ignore[attr-defined]
    return True
