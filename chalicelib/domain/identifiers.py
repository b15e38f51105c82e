"""Our own identifiers. Inside the system our own base URL is always written `BASE`.

Whoever serves an answer puts the real base URL in its place; what comes in is translated back. So
nothing that is stored or compared depends on the host that a request happened to use.
"""

BASE = "https://base.invalid"  # a name that cannot exist (RFC 2606)
API = f"{BASE}/api/openbooking"
IDENTIFIERS = f"{BASE}/api/identifiers"
PASSES = f"{BASE}/api/passes"


def inward(iri: str, base_url: str) -> str:
    """The identifier as it is known inside; one that is not ours stays as it is."""
    return BASE + iri[len(base_url) :] if iri.startswith(base_url + "/") else iri


def outward(text: str, base_url: str) -> str:
    """A whole answer with the real base URL in it."""
    return text.replace(BASE, base_url)
