"""Who may ask: pages of this server alone.

The server listens on the loopback interface, but any page in the same browser can send requests
there. A foreign name that resolves to 127.0.0.1 (DNS rebinding) is recognised by its Host header,
a request that another site's page made by its Origin or Sec-Fetch-Site header; and what changes
something needs a header that a page cannot send to another site without being allowed to.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message

HEADER = "X-Stpn-App"


def refusal(method: str, path: str, headers: Mapping[str, str] | Message, port: int) -> str:
    """Why a request is refused, or nothing."""
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
    if port == 80:
        hosts |= {"127.0.0.1", "localhost"}
    host = headers.get("Host", "").lower()
    if host not in hosts:
        return f"this server answers to 127.0.0.1:{port} only, not to {host[:100] or 'no name'}"
    origin = headers.get("Origin")
    if origin is not None and origin.lower() not in {f"http://{name}" for name in hosts}:
        return "requests of other sites are refused"
    if path != "/" and headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return "requests of other sites are refused"
    if method not in ("GET", "HEAD") and HEADER not in headers:
        return f"the header {HEADER} is missing: requests of other sites are refused"
    return ""
