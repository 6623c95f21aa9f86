"""The types of a request, how large its head may be, and whether it was addressed to this machine itself."""

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection

from everyskill.web.settings import is_loopback

# Address, headers and cookies together.
MAX_HEAD_BYTES = 16 * 1024
# In a request's scope, once its whole body has arrived: nobody needs to wait for it.
BODY_ARRIVED = "everyskill.body_arrived"

AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]

# What OPTIONS becomes: no route has it, so that the router tells which ones the route has. Litestar's own answer leaves
# out HEAD, and methods that were added to a route later.
ANY_METHOD: Any = "*"


def is_addressed_to_loopback(headers: Mapping[str, str]) -> bool:
    """Whether the Host header names localhost or a loopback address, with or without a port."""
    host = headers.get("Host", "")
    name, _, port = host.rpartition(":")
    return is_loopback(name if port.isdigit() else host)
