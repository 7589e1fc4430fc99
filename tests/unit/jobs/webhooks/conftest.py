"""Settings and certificates for callbacks."""

from __future__ import annotations

import ssl

import pytest

from tests.support.certificates import write_certificate
from tests.unit.jobs.webhooks.support import SECRET
from transcription.core.settings import Settings


@pytest.fixture
def webhook_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_secret": SECRET, "webhook_allow": "127.0.0.0/8", "webhook_timeout": 10})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS contexts of a receiver named hooks.example.com, and of a client that trusts it."""
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    authority = write_certificate(path, "hooks.example.com")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(path)
    return theirs, ssl.create_default_context(cadata=authority)
