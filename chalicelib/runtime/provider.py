"""The services behind the endpoints of the built-in OpenID provider. Wiring only."""

from chalicelib.identity.oauth.backend import Backend
from chalicelib.runtime.partners import PartnerAdministration
from chalicelib.runtime.serving import Serving


def backend_of(system: Serving) -> Backend:
    """The provider's backend; a partner that registers itself is created by the service that the commands use."""
    partners = PartnerAdministration(system).partners
    return Backend(system.credentials, system.consent, system.grants, system.issuer, partners)
