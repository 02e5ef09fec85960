"""The shape of the three networks: one config that travels with the weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from gatling_guard.errors import ConfigurationError

Tokenizer = Literal["static", "md5"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Shape of ExecutionEncoder, GovernanceEncoder and Predictor, which share their text features.

    `EncoderConfig.named("base")` gives one of `CONFIGS`; keyword arguments override single fields.
    """

    name: str = "base"
    latent_dim: int = 1024
    """Width of z_g and z_e."""
    hidden_dim: int = 256
    """Width of a node's state."""
    words_dim: int = 512
    """Width of the sum of texts that reaches z_g, z_e and a call's embedding past all blocks."""
    blocks: int = 4
    """Attention blocks of the ExecutionEncoder."""
    heads: int = 8
    ffn: int = 2
    """Width of the feed-forward layers of the ExecutionEncoder, in multiples of `hidden_dim`."""
    pool_heads: int = 4
    """Heads of the learned pooling over a plan's nodes, and over a call's arguments."""
    projection_dim: int = 512
    """Width between `hidden_dim` and `latent_dim`."""
    call_dim: int = 256
    """Width of the embedding of one call, which the predictor predicts."""
    tokenizer: Tokenizer = "static"
    vocabulary: int = 10_000
    """Ids of `tokenizer="md5"`; the static tokeniser has its own."""
    policy_blocks: int = 2
    """Blocks of the GovernanceEncoder over the policy (cached per policy)."""
    context_blocks: int = 1
    """Blocks of the GovernanceEncoder over role and session context."""
    governance_ffn: int = 2
    window: int = 16
    """Entries of a policy that one entry sees to either side."""
    global_tokens: int = 8
    """Learned tokens that see all entries of a policy and are seen by all."""
    predictor_dim: int = 256
    dropout: float = 0.1
    """While training only."""

    def __post_init__(self) -> None:
        """Cross-field checks.

        Raises:
            ConfigurationError: a field that cannot be, by name.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (type(value) is not int or value < 1):
                raise ConfigurationError(
                    f"encoder config: {field.name} must be an int of 1 or more"
                )
        for heads in ("heads", "pool_heads"):
            if self.hidden_dim % getattr(self, heads):
                raise ConfigurationError(
                    f"encoder config: hidden_dim {self.hidden_dim} is no multiple of {heads}"
                    f" {getattr(self, heads)}"
                )
        if self.words_dim % self.pool_heads:
            raise ConfigurationError(
                f"encoder config: words_dim {self.words_dim} is no multiple of pool_heads"
                f" {self.pool_heads}"
            )
        if self.tokenizer not in ("static", "md5"):
            raise ConfigurationError(f"encoder config: no tokenizer {self.tokenizer!r}")
        if not 0 <= self.dropout < 1:
            raise ConfigurationError("encoder config: dropout must be in [0, 1)")

    @property
    def text_dim(self) -> int:
        """Width of a projected text: what the blocks read, then what goes past them."""
        return self.hidden_dim + self.words_dim

    @classmethod
    def named(cls, name: str, **overrides: Any) -> EncoderConfig:
        """One of `CONFIGS`, with single fields replaced.

        Raises:
            ConfigurationError: unknown name or field.
        """
        if name not in CONFIGS:
            raise ConfigurationError(f"no encoder config {name!r}; there are {sorted(CONFIGS)}")
        return cls.from_dict({**CONFIGS[name].to_dict(), **overrides})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EncoderConfig:
        """The inverse of `to_dict`.

        Raises:
            ConfigurationError: a field that there is not, or a value that cannot be.
        """
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ConfigurationError(f"encoder config: unknown fields {unknown}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return dataclasses.asdict(self)


CONFIGS = {
    config.name: config
    for config in (
        EncoderConfig(),
        EncoderConfig(
            name="small",
            hidden_dim=128,
            words_dim=256,
            blocks=2,
            heads=4,
            call_dim=128,
            policy_blocks=1,
        ),
        # The founding document's shape: 10 k vocabulary, 4 blocks, 8 heads, 512-2048-1024. It has
        # no words past the blocks: as few as there can be.
        EncoderConfig(
            name="seed",
            hidden_dim=512,
            words_dim=16,
            ffn=4,
            projection_dim=2048,
            pool_heads=1,
            predictor_dim=512,
            tokenizer="md5",
        ),
    )
}
"""`base` is what ships, `small` for tests and weak machines, `seed` the founding document's."""


def config_of(config: EncoderConfig | str, **overrides: int | None) -> EncoderConfig:
    """A config by name or as it is, with the overrides that are not None."""
    given = {name: value for name, value in overrides.items() if value is not None}
    if isinstance(config, str):
        return EncoderConfig.named(config, **given)
    return EncoderConfig.from_dict({**config.to_dict(), **given})
