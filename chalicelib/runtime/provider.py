"""The services behind the endpoints of the built-in OpenID provider. Wiring only."""

from chalicelib.identity.oauth.backend import Backend
from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import System


def backend_of(system: System) -> Backend:
    """The provider's backend; a partner that registers itself is created by the service that the commands use."""
    partners = Administration(system).partners
    return Backend(system.credentials, system.consent, system.grants, system.issuer, partners)
