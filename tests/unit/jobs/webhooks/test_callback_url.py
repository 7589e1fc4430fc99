"""Callback URLs that a submission may have."""

from __future__ import annotations

import pytest

from transcription.core.errors import InvalidParameter
from transcription.core.settings import Settings
from transcription.jobs.webhooks.deliverer import (
    check_url,
)


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("https://example.com/hook", ""),
        ("https://93.184.215.14/", ""),
        ("http://127.0.0.1:5000/", "127.0.0.1"),
        ("http://app:5000/", "app:5000"),
        ("http://app:5000/", "10.0.0.0/8"),
    ],
)
def test_a_url_that_may_be_allowed_is_accepted(webhook_settings: Settings, url: str, allow: str) -> None:
    check_url(url, webhook_settings.model_copy(update={"webhook_allow": allow}))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://example.com:8443/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
    ],
)
def test_a_url_that_cannot_be_allowed_is_rejected_with_the_remedy(webhook_settings: Settings, url: str) -> None:
    with pytest.raises(InvalidParameter, match=r"callback_url is refused.*WEBHOOK_ALLOW"):
        check_url(url, webhook_settings.model_copy(update={"webhook_allow": ""}))


def test_without_a_secret_a_callback_url_is_rejected(webhook_settings: Settings) -> None:
    with pytest.raises(InvalidParameter, match="WEBHOOK_SECRET"):
        check_url("https://example.com/", webhook_settings.model_copy(update={"webhook_secret": ""}))
