"""Our own identifiers. Inside the system our own base URL is always written `BASE`.

`api` replaces it by the real base URL in each answer, and translates requests back. Nothing that is
stored or compared depends on the host name in a request.
"""

BASE = "https://base.invalid"  # a name that cannot exist (RFC 2606)
API = f"{BASE}/api/openbooking"
IDENTIFIERS = f"{BASE}/api/identifiers"
PASSES = f"{BASE}/api/passes"


def inward(iri: str, base_url: str) -> str:
    """The identifier as it is stored; one that is not ours is returned unchanged."""
    return BASE + iri[len(base_url) :] if iri.startswith(base_url + "/") else iri


def outward(text: str, base_url: str) -> str:
    """A whole answer with the real base URL."""
    return text.replace(BASE, base_url)
