"""The settings of a pool of runners, a part of `Settings`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from transcription.core import setting_rules


class PoolSettings(BaseSettings):
    """Of the runners, and of those who ask them. whisper_model: see `Settings`."""

    whisper_model: str

    runner_url: str = Field(
        "",
        description="Runners elsewhere that decode the windows: http://HOST:PORT, a list, comma-separated, or a name "
        "that resolves to all of them; empty for a runner of our own.",
    )
    runner_token: str = Field(
        "",
        repr=False,
        description="Secret that runners and those who ask them share, at least 32 characters; without it a runner "
        "answers only its own machine.",
    )
    models: str = Field(
        "", description="Models that this runner serves, comma-separated, the default one among them; empty for all."
    )

    @property
    def served_model_names(self) -> frozenset[str]:
        """MODELS as a set; empty for all."""
        names = frozenset(name.strip() for name in self.models.split(",") if name.strip())
        return frozenset() if "*" in names else names

    _token = field_validator("runner_token")(setting_rules.secret)
    _served = field_validator("models")(setting_rules.model_names)
    _runners = field_validator("runner_url")(setting_rules.runner_urls)

    @model_validator(mode="after")
    def _default_model_is_served(self) -> Self:
        if self.served_model_names and self.whisper_model not in self.served_model_names:
            raise ValueError(f"MODELS must contain WHISPER_MODEL, which is {self.whisper_model}")
        return self
