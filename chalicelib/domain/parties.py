"""The parties to an Order: Seller, Broker and Customer, and the required details of each.

Details are stored as they were sent (DETAILS-02); only properties that a rule needs are read.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from chalicelib.domain.errors import IncompleteBrokerDetailsError, IncompleteCustomerDetailsError
from chalicelib.values import dataclass

Json: TypeAlias = dict[str, Any]


class BrokerRole(StrEnum):
    """In whose name the Broker sells (ROLE)."""

    AgentBroker = "AgentBroker"  # for the Seller: the Customer buys from the Seller
    ResellerBroker = "ResellerBroker"  # for itself: the Broker buys and resells
    NoBroker = "NoBroker"  # without a Broker: the Seller's own application


class TaxMode(StrEnum):
    """How the Seller states prices (TAX-04)."""

    TaxGross = "TaxGross"  # the price includes tax
    TaxNet = "TaxNet"  # tax is added to the price


@dataclass(frozen=True)
class TaxRate:
    """A tax that applies to a price; `rate` is a fraction, 0.2 for 20 %."""

    name: str
    rate: Decimal
    identifier: str | None = None


class AccessMethod(StrEnum):
    """How a Customer gets access to the activity (ACCESS-01)."""

    code = "code"  # a code to type or to say
    image = "image"  # a pass to show
    barcode = "barcode"  # a pass to scan, with its image (ACCESS-04)


@dataclass(frozen=True)
class Seller:
    """The organisation that provides the activity, with the details that a receipt needs (MODEL-01)."""

    id: str
    tax_mode: TaxMode
    document: Json
    tax_rate: TaxRate | None = None
    open_booking_allowed: bool = True
    access_methods: tuple[AccessMethod, ...] = ()

    @property
    def why_no_bookings(self) -> str | None:
        """Why nothing of this Seller can be booked, or None (T5, MODEL-01)."""
        if not self.open_booking_allowed:
            return "The seller does not take bookings."
        if missing := missing_details(self.document):
            return (
                f"The details of the seller that each answer must show are incomplete: {', '.join(missing)}."
            )
        return None


def missing_details(seller: Json) -> list[str]:
    """What a Seller's document lacks of the details without which no answer may show it (MODEL-01).

    `legalName` is not among them, since the name is used; parts of the address may be missing.
    """
    address = seller.get("address")
    missing = [] if _text(seller.get("name")) else ["name"]
    return missing if isinstance(address, dict) and set(address) - {"@type"} else [*missing, "address"]


def is_business(role: BrokerRole, customer: Json | None) -> bool:
    """Whether tax is charged between businesses (TAX-02); false while there is no Customer (TAX-10)."""
    return role is BrokerRole.ResellerBroker or (customer or {}).get("@type") == "Organization"


def check_broker(role: BrokerRole | None, broker: Any) -> BrokerRole:
    """The role, if the `broker` property fits it (ROLE-01 to ROLE-04).

    Raises IncompleteBrokerDetailsError.
    """
    if role is None:
        raise IncompleteBrokerDetailsError(
            "brokerRole must be https://openactive.io/AgentBroker, ResellerBroker or NoBroker."
        )
    if role is BrokerRole.NoBroker:
        if broker is not None:
            raise IncompleteBrokerDetailsError("A broker must not be given where brokerRole is NoBroker.")
        return role
    if not isinstance(broker, dict):
        raise IncompleteBrokerDetailsError("A broker is required.")
    if broker.get("@type") != "Organization":
        raise IncompleteBrokerDetailsError("The broker must be an Organization.")
    if not _text(broker.get("name")):
        raise IncompleteBrokerDetailsError("The broker must have a name.")
    return role


def check_customer(role: BrokerRole, customer: Any) -> None:
    """Refuse a missing or incomplete `customer` (C2-02, DETAILS-01).

    Raises IncompleteCustomerDetailsError.
    """
    if customer is None and role is BrokerRole.ResellerBroker:
        return
    if not isinstance(customer, dict):
        raise IncompleteCustomerDetailsError("A customer is required.")
    if customer.get("@type") not in ("Person", "Organization"):
        raise IncompleteCustomerDetailsError("The customer must be a Person or an Organization.")
    if not _text(customer.get("email")):
        raise IncompleteCustomerDetailsError("The customer must have an email.")


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
