"""What the endpoints of our own OpenID provider ask, put together. Wiring only."""

from chalicelib.identity.oauth.backend import Backend
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import System


def backend_of(system: System) -> Backend:
    """The provider's decisions; a partner that registers itself is made by the service that commands call."""
    partners = Administration(system).partners
    return Backend(system.credentials, system.consent, system.grants, system.issuer, partners)
