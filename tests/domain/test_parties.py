"""Broker and Customer: what must be known of each."""

from typing import Any

import pytest

from chalicelib.domain.errors import IncompleteBrokerDetailsError, IncompleteCustomerDetailsError
from chalicelib.domain.parties import BrokerRole, check_broker, check_customer, is_business
from tests.support.builders import BROKER, BUSINESS, CUSTOMER

AGENT, RESELLER, NO_BROKER = BrokerRole.AgentBroker, BrokerRole.ResellerBroker, BrokerRole.NoBroker
PERSON_AS_BROKER = {"@type": "Person", "name": "Geoff"}


@pytest.mark.parametrize(
    ("role", "broker", "accepted"),
    [
        (AGENT, BROKER, True),
        (AGENT, None, False),  # ROLE-01
        (AGENT, PERSON_AS_BROKER, False),  # ROLE-04
        (AGENT, {"@type": "Organization"}, False),  # ROLE-04
        (AGENT, {"@type": "Organization", "name": "  "}, False),
        (AGENT, {"@type": "Organization", "name": 7}, False),
        (AGENT, {"name": "Acme"}, False),
        (AGENT, "Acme", False),
        (RESELLER, BROKER, True),
        (RESELLER, None, False),  # ROLE-02
        (NO_BROKER, None, True),
        (NO_BROKER, BROKER, False),  # ROLE-03
        (None, BROKER, False),  # ROLE-04: brokerRole is missing
        (None, None, False),
    ],
)
def test_broker_must_fit_its_role(role: BrokerRole | None, broker: Any, accepted: bool) -> None:
    """ROLE-01 to ROLE-04."""
    if accepted:
        assert check_broker(role, broker) is role
    else:
        with pytest.raises(IncompleteBrokerDetailsError):
            check_broker(role, broker)


@pytest.mark.parametrize(
    ("role", "customer", "accepted"),
    [
        (AGENT, CUSTOMER, True),
        (AGENT, BUSINESS, True),
        (AGENT, None, False),
        (AGENT, {"@type": "Person"}, False),
        (AGENT, {"@type": "Person", "email": " "}, False),
        (AGENT, {"@type": "Person", "email": ["a@example.com"]}, False),
        (AGENT, {"email": "a@example.com"}, False),
        (AGENT, {"@type": "Robot", "email": "a@example.com"}, False),
        (AGENT, "Geoff", False),
        (NO_BROKER, CUSTOMER, True),
        (NO_BROKER, None, False),  # ROLE-03
        (RESELLER, None, True),  # ROLE-02
        (RESELLER, CUSTOMER, True),
        (RESELLER, {"@type": "Person"}, False),  # what is given must still be whole
    ],
)
def test_customer_must_have_a_type_and_an_email(role: BrokerRole, customer: Any, accepted: bool) -> None:
    """C2-02, DETAILS-01."""
    if accepted:
        check_customer(role, customer)
    else:
        with pytest.raises(IncompleteCustomerDetailsError):
            check_customer(role, customer)


@pytest.mark.parametrize(
    ("role", "customer", "business"),
    [
        (AGENT, CUSTOMER, False),
        (AGENT, BUSINESS, True),
        (AGENT, None, False),  # TAX-10
        (NO_BROKER, CUSTOMER, False),
        (NO_BROKER, BUSINESS, True),
        (NO_BROKER, None, False),
        (RESELLER, None, True),
        (RESELLER, CUSTOMER, True),
    ],
)
def test_who_buys_as_a_business(role: BrokerRole, customer: Any, business: bool) -> None:
    """TAX-01, TAX-02, TAX-10."""
    assert is_business(role, customer) is business
