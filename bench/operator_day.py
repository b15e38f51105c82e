"""One day of an operator with two Sellers, played by commands, while ten Brokers book.

`python -m bench.operator_day` runs the local stack on Dynoxide. Commands load a timetable for each Seller, sell at a desk,
close, move, notify, replace, cancel, and answer proposals, while the Brokers book through the API. At the end it checks:
each Broker's feed shows the state of each of its changed Orders; spaces add up; takings are what the Brokers have paid and
not got back; and no list of a Seller names what belongs to the other. It ends with 1 if anything differs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from typer.testing import CliRunner

from chalicelib.runtime.system import installed
from chalicelib.values import dataclass, field
from openbooking.cli.main import app
from openbooking.local.stack import LocalStack, environment_variables
from tests.support import engines
from tests.support.builders import BROKER, CUSTOMER

SELLERS, BROKERS, ROUNDS = ("acme", "bolt"), 10, 6
_HEADER = "type,id,name,street,locality,postcode,amount,approval,terms,activity,site,start_date,time,minutes,spaces,prices"
_PAYMENT = {"@type": "Payment", "identifier": "payment"}


def timetable(seller: str) -> str:
    """Four sessions of a Seller: three of them for anyone, one that needs approval."""
    now = datetime.now(ZoneInfo("Europe/London"))
    # The first one is soon, so that it can be recorded who came.
    starts = [now + timedelta(minutes=90), *(now + timedelta(days=7, hours=n) for n in range(1, 6))]
    days = [f"{start:%Y-%m-%d},{start:%H:%M}" for start in starts]
    rows = [
        f"site,centre,{seller} Centre,12 Meadow Lane,Bristol,BS4 3QQ,,,,,,,,,,",
        "price,adult,Adult,,,,7.50,,,,,,,,,",
        "terms,ask,,,,,,yes,,,,,,,,",
        "price,asking,Adult,,,,7.50,,ask,,,,,,,",
        *(f"session,yoga{n},Yoga {seller} {n},,,,,,,Yoga,centre,{days[n]},60,40,adult" for n in range(4)),
        *(
            f"session,asking{n},Asking {seller} {n},,,,,,,Yoga,centre,{days[4 + n]},60,40,asking"
            for n in range(2)
        ),
    ]
    return "\n".join([_HEADER, *rows]) + "\n"


@dataclass
class Operator:
    """Types commands. Counts them, and stops at the first that fails."""

    typed: int = 0

    def says(self, *arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments])
        self.typed += 1
        if result.exit_code:
            raise RuntimeError(f"openbooking {' '.join(arguments)}: {result.output}")
        return result.stdout

    def refuses(self, *arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments])
        self.typed += 1
        if result.exit_code != 1:
            raise RuntimeError(f"openbooking {' '.join(arguments)} was not refused: {result.output}")
        return result.output

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        found, after = [], ""
        while True:
            page = json.loads(
                self.says(*arguments, "--json", "--limit", "50", *(("--after", after) if after else ()))
            )
            found += page["rows"]
            if page["next"] is None:
                return found
            after = page["next"]


@dataclass
class Broker:
    """Books what it is given, and remembers its Orders."""

    number: int
    url: str
    seller: str
    orders: list[str] = field(default_factory=list)
    proposals: list[str] = field(default_factory=list)

    @property
    def partner(self) -> str:
        return f"broker-{self.number}"

    def send(self, client: httpx.Client, verb: str, path: str, body: Any = None) -> httpx.Response:
        headers = {
            "Content-Type": "application/vnd.openactive.booking+json; version=1",
            "X-OpenActive-Test-Client-Id": self.partner,
            "X-OpenActive-Test-Seller-Id": f"{self.url}/api/identifiers/sellers/{self.seller}",
        }
        return client.request(
            verb,
            f"{self.url}/api/openbooking/{path}",
            headers=headers,
            content=json.dumps(body) if body else None,
        )

    def order(self, client: httpx.Client, session: dict[str, Any], kind: str = "Order") -> None:
        key, collection = str(uuid.uuid4()), "orders" if kind == "Order" else "order-proposals"
        item = {
            "@type": "OrderItem",
            "position": 0,
            "orderedItem": {"@type": "ScheduledSession", "@id": session["id"]},
            "acceptedOffer": {"@type": "Offer", "@id": session["offer"]},
        }
        body = {
            "@context": "https://openactive.io/",
            "@type": kind,
            "brokerRole": "https://openactive.io/AgentBroker",
            "broker": BROKER,
            "seller": {"@type": "Organization", "@id": f"{self.url}/api/identifiers/sellers/{self.seller}"},
            "customer": CUSTOMER,
            "orderedItem": [item],
            "totalPaymentDue": {"@type": "PriceSpecification", "price": 7.5, "priceCurrency": "GBP"},
            "payment": _PAYMENT,
        }
        answer = self.send(client, "PUT", f"{collection}/{key}", body)
        if answer.status_code == 201:
            (self.orders if kind == "Order" else self.proposals).append(key)
        elif answer.status_code not in (409, 503):  # closed, cancelled or busy meanwhile
            raise RuntimeError(f"{kind}: {answer.status_code} {answer.text[:300]}")

    def status(self, client: httpx.Client, key: str) -> Any:
        return self.send(client, "GET", f"orders/{key}").json()

    def feed(self, client: httpx.Client) -> dict[str, Any]:
        """The items of the Orders feed by UUID."""
        found: dict[str, Any] = {}
        path = "orders-rpde"
        while True:
            page = self.send(client, "GET", path).json()
            if not page["items"]:
                return found
            found |= {item["id"].rpartition("/")[2]: item.get("data") for item in page["items"]}
            path = page["next"].partition("/api/openbooking/")[2]


def together(work: Callable[[Broker], None], brokers: list[Broker]) -> None:
    """All Brokers at once; the first error is raised."""
    errors: list[Exception] = []

    def safely(broker: Broker) -> None:
        try:
            work(broker)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=safely, args=(broker,)) for broker in brokers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def play(stack: LocalStack, folder: Path) -> list[str]:
    """The day; what differs at its end."""
    operator = Operator()
    for seller in SELLERS:
        operator.says("sellers", "add", "--from", str(_seller_file(folder, seller)))
        path = folder / f"{seller}.csv"
        path.write_text(timetable(seller), encoding="utf-8")
        operator.says("timetable", "import", str(path), "--seller", seller)
    sessions = {seller: _sessions(operator, seller) for seller in SELLERS}
    brokers = [Broker(number, stack.url, SELLERS[number % 2]) for number in range(BROKERS)]

    def book(broker: Broker) -> None:
        with httpx.Client(timeout=60) as client:
            for number in range(ROUNDS):
                broker.order(client, sessions[broker.seller]["Yoga"][number % 4])
            for number in range(2):
                broker.order(client, sessions[broker.seller]["Asking"][number % 2], "OrderProposal")

    booking = threading.Thread(target=together, args=(book, brokers))
    booking.start()
    for seller in SELLERS:
        yoga = [each["id"] for each in sessions[seller]["Yoga"]]
        own = ("--seller", seller)
        operator.says("sessions", "close", yoga[0], *own)
        operator.says("sessions", "open", yoga[0], *own)
        operator.says("desk", "sell", yoga[0], *own, "--spaces", "2", "--paid-by", "card")
        sold = json.loads(operator.says("desk", "sell", yoga[1], *own, "--json"))
        operator.says("desk", "return", sold["uuid"], *own, "--anyway")
        operator.says("sessions", "move", yoga[1], *own, "--place", "Studio 2")
        operator.says("sessions", "notify", yoga[1], "Bring a mat.", *own)
    booking.join()
    other = sessions[SELLERS[1]]["Yoga"][0]["id"]
    operator.refuses("sessions", "cancel", other, "--yes", "--seller", SELLERS[0])
    for seller in SELLERS:
        own = ("--seller", seller)
        yoga = [each["id"] for each in sessions[seller]["Yoga"]]
        operator.says("sessions", "notify", yoga[1], "Bring a mat.", *own)
        operator.says("register", "attended", yoga[0], "--all", *own)
        operator.says("sessions", "cancel", yoga[2], "--yes", "--message", "Flooded.", *own)
        rows = [
            row for row in operator.rows("bookings", "list", *own) if row["partner"].startswith("broker-")
        ]
        confirmed = [row for row in rows if row["status"] == "OrderItemConfirmed"]
        for row, what in zip(confirmed[:2], ("cancel", "replace"), strict=False):
            more = ("--with", yoga[3]) if what == "replace" else ("--message", "Sorry.")
            operator.says("bookings", what, row["uuid"], "--partner", row["partner"], *more, *own)
        answers = ("accept", "reject", "amend")
        for number, row in enumerate(operator.rows("proposals", "list", *own)):
            answer = answers[number % 3]
            operator.says(
                "proposals", answer, row["uuid"], "--partner", row["partner"], "--note", "See you.", *own
            )
    stack.drain()
    print(f"{operator.typed} commands, {sum(len(b.orders) for b in brokers)} Orders of Brokers", flush=True)
    return _differences(operator, sessions, brokers)


def _differences(operator: Operator, sessions: dict[str, Any], brokers: list[Broker]) -> list[str]:
    wrong: list[str] = []
    store = installed().store
    with httpx.Client(timeout=60) as client:
        paid: dict[str, Decimal] = dict.fromkeys(SELLERS, Decimal(0))
        for broker in brokers:
            feed = broker.feed(client)
            for key in broker.orders:
                now = broker.status(client, key)
                paid[broker.seller] += Decimal(str(now["totalPaymentDue"]["price"]))
                if key not in feed:
                    changed = [item for item in now["orderedItem"] if _is_changed(item)]
                    wrong += [f"{key} is changed and not in the feed of {broker.partner}"] if changed else []
                elif _shown(feed[key]) != _shown(now):
                    wrong.append(f"{key} differs in the feed of {broker.partner}")
    for seller in SELLERS:
        rows = operator.rows("bookings", "list", "--seller", seller)
        of_brokers = {row["uuid"] for row in rows if row["partner"].startswith("broker-")}
        expected = {key for broker in brokers if broker.seller == seller for key in broker.orders}
        if of_brokers != expected:
            wrong.append(f"the bookings of {seller} are not those of its Brokers")
        takings = sum(
            (Decimal(row["due"]) for row in rows if row["partner"].startswith("broker-")), Decimal(0)
        )
        if takings != paid[seller]:
            wrong.append(f"the takings of {seller} are {takings}, and its Brokers have {paid[seller]}")
        desk = sum((Decimal(row["due"]) for row in rows if row["partner"].startswith("desk-")), Decimal(0))
        if desk != 15:
            wrong.append(f"the desk of {seller} has {desk}")
        for each in (*sessions[seller]["Yoga"], *sessions[seller]["Asking"]):
            opportunity_id = each["stored"]
            capacity = store.listings([opportunity_id])[opportunity_id][1]
            assert capacity is not None
            held = sum(hold.spaces for hold in store.holds(opportunity_id).values())
            if capacity.spaces_total != capacity.spaces_left + held:
                wrong.append(f"the spaces of {opportunity_id} do not add up")
        names = {row["name"] for row in operator.rows("sessions", "list", "--seller", seller)}
        if any(f" {other} " in name for name in names for other in SELLERS if other != seller):
            wrong.append(f"{seller} sees sessions of the other Seller")
    return wrong


def _sessions(operator: Operator, seller: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {"Yoga": [], "Asking": []}
    for row in operator.rows("sessions", "list", "--seller", seller):
        shown = json.loads(operator.says("sessions", "show", row["id"], "--seller", seller, "--json"))
        [stored] = [
            each
            for each in installed()
            .store.listed_opportunities(f"https://base.invalid/api/identifiers/sellers/{seller}")
            .keys
            if row["id"].endswith(each.partition("/api/")[2])
        ]
        found[row["name"].split()[0]].append(
            {"id": row["id"], "offer": shown["offers"][0]["id"], "stored": stored}
        )
    return found


def _seller_file(folder: Path, seller: str) -> Path:
    path = folder / f"{seller}.json"
    address = {
        "@type": "PostalAddress",
        "streetAddress": "1 High Street",
        "addressLocality": "Bristol",
        "addressRegion": "Avon",
        "postalCode": "BS1 1AA",
        "addressCountry": "GB",
    }
    document = {
        "@id": seller,
        "name": seller,
        "taxMode": "gross",
        "address": address,
        "isOpenBookingAllowed": True,
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _is_changed(item: dict[str, Any]) -> bool:
    return not str(item["orderItemStatus"]).endswith("OrderItemConfirmed") or "customerNotice" in item


def _shown(order: Any) -> list[tuple[Any, ...]]:
    """What a Broker must know: state, texts, and when and where."""
    return sorted(
        (
            str(item.get("orderItemStatus")),
            str(item.get("customerNotice")),
            str(item.get("cancellationMessage")),
            str(item["orderedItem"]["@id"]),
            str((item["orderedItem"].get("location") or {}).get("name")),
        )
        for item in order["orderedItem"]
    )


def main() -> int:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name, engines.dynoxide() as url:
        folder = Path(name)
        with (
            environment_variables({"OPENBOOKING_STATE_DIRECTORY": name, "DYNAMODB_URL": None}),
            LocalStack(dynamodb_url=url, directory=folder, announced=True) as stack,
        ):
            wrong = play(stack, folder)
    for each in wrong:
        print(f"Wrong: {each}")
    print(f"{len(wrong)} differences, {time.perf_counter() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
