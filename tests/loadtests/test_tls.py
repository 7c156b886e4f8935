"""Whom a client trusts."""

import ssl
from pathlib import Path

import pytest

from loadtests.errors import LoadTestError
from loadtests.tls import client_context

CERTIFICATE = Path(__file__).parents[1] / "localhost.pem"


def test_a_plain_address_has_no_context() -> None:
    assert client_context("ws://h/") is None


def test_the_system_is_trusted_unless_told_otherwise() -> None:
    context = client_context("wss://h/")
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_file_of_certificates_takes_the_place_of_the_systems() -> None:
    context = client_context("wss://h/", ca=str(CERTIFICATE))
    assert context is not None
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_insecure_takes_any_certificate() -> None:
    context = client_context("wss://h/", insecure=True)
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_a_file_that_is_not_there_or_holds_no_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"missing\.pem: No such file"):
        client_context("wss://h/", ca=str(tmp_path / "missing.pem"))
    (tmp_path / "words.pem").write_text("no certificate")
    with pytest.raises(LoadTestError, match=r"words\.pem: no PEM certificate in it"):
        client_context("wss://h/", ca=str(tmp_path / "words.pem"))


def test_trust_without_tls_is_a_mistake() -> None:
    with pytest.raises(LoadTestError, match=r"--insecure is for wss:// addresses"):
        client_context("ws://h/", insecure=True)
