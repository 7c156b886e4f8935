"""Whom to trust at a ``wss://`` address."""

import ssl
from urllib.parse import urlsplit

from loadtests.errors import LoadTestError

__all__ = ["client_context"]


def client_context(
    url: str, *, ca: str | None = None, insecure: bool = False
) -> ssl.SSLContext | None:
    """Return the context for clients of this address; None for ``ws://``, which has none.

    Args:
        url: the WebSocket address.
        ca: a file of PEM certificates that are trusted in the place of the system's.
        insecure: whether any certificate will do. Whoever sits between can then read everything.

    Raises:
        LoadTestError: the file cannot be read, or holds no certificate; or it is not ``wss``.
    """
    if urlsplit(url).scheme != "wss":
        if ca is not None or insecure:
            option = "--ca" if ca is not None else "--insecure"
            raise LoadTestError(f"{option} is for wss:// addresses, and this is {url}")
        return None
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise LoadTestError(f"--ca {ca}: no PEM certificate in it ({error.reason})") from None
    except OSError as error:
        raise LoadTestError(f"--ca {ca}: {error.strerror}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
