"""The sessions and facilities of two fictional operators: the texts and figures of the sample inventory.

Days count from today. `inventory` turns it into published documents.
"""

from dataclasses import dataclass

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json


@dataclass(frozen=True)
class Price:
    """One Offer. The durations are ISO 8601, before the start; without `refund` no cancellation."""

    name: str
    price: float
    refund: bool = True
    refund_until: str | None = None
    prepayment: str | None = None
    opens: str | None = None
    closes: str | None = None
    needs: tuple[str, ...] = ()
    minimum_age: int | None = None


@dataclass(frozen=True)
class Class:
    """A series of sessions: (day, "HH:MM", spaces left, or None for all)."""

    name: str
    activity: str
    description: str
    leader: str
    prices: tuple[Price, ...]
    sessions: tuple[tuple[int, str, int | None], ...]
    minutes: int = 60
    spaces: int = 16
    level: str = "All levels"
    minimum_age: int = 16
    online: bool = False
    instructions: str | None = None
    cancelled_days: tuple[int, ...] = ()
    asks_attendee: tuple[str, ...] = ()
    asks: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Facility:
    """A facility to hire: one of its `courts` at a time, or without courts, `spaces` at the same time."""

    name: str
    facility_type: str
    description: str
    prices: tuple[Price, ...]
    days: tuple[int, ...]
    times: tuple[str, ...]
    minutes: int
    courts: tuple[str, ...] = ()
    spaces: int = 1
    taken: frozenset[tuple[int, str, int]] = frozenset()


@dataclass(frozen=True)
class Part:
    """A session of an Occasion: a day, "HH:MM", and a price if it is also sold singly."""

    name: str
    day: int
    time: str
    price: Price | None = None


@dataclass(frozen=True)
class Occasion:
    """What is not held each week: a course or a HeadlineEvent with its parts, an Event, or an OnDemandEvent.

    `spaces` are also those of each part; an OnDemandEvent has neither spaces nor a time.
    """

    kind: OpportunityType
    name: str
    activity: str
    description: str
    price: Price
    day: int = 0
    time: str = ""
    minutes: int = 60
    spaces: int = 12
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Operator:
    """A Seller, its place, and its programme. Prices include tax unless `tax_is_added`."""

    name: str
    legal_name: str
    description: str
    site: str
    email: str
    telephone: str
    vat_id: str
    tax_is_added: bool
    place_name: str
    street: str
    locality: str
    region: str
    postcode: str
    latitude: float
    longitude: float
    classes: tuple[Class, ...]
    facilities: tuple[Facility, ...]
    occasions: tuple[Occasion, ...] = ()


def _short(name: str, description: str, *, required: bool) -> Json:
    return {
        "@type": "ShortAnswerFormFieldSpecification",
        "name": name,
        "description": description,
        "valueRequired": required,
    }


def _paragraph(name: str, description: str) -> Json:
    return {
        "@type": "ParagraphFormFieldSpecification",
        "name": name,
        "description": description,
        "valueRequired": False,
    }


def _choice(name: str, description: str, options: list[str]) -> Json:
    return {
        "@type": "DropdownFormFieldSpecification",
        "name": name,
        "description": description,
        "valueRequired": True,
        "valueOption": options,
    }


def _tick(name: str, description: str) -> Json:
    return {"@type": "BooleanFormFieldSpecification", "name": name, "description": description}


AVONMEAD = Operator(
    name="Avonmead Leisure",
    legal_name="Avonmead Leisure Trust Limited",
    description="A charitable trust running the leisure centre and pool in Avonmead, Bristol.",
    site="https://avonmead-leisure.example",
    email="bookings@avonmead-leisure.example",
    telephone="0117 496 0142",
    vat_id="GB999999973",
    tax_is_added=False,
    place_name="Avonmead Leisure Centre",
    street="12 Meadow Lane",
    locality="Bristol",
    region="Avon",
    postcode="BS4 3QQ",
    latitude=51.4412,
    longitude=-2.5697,
    classes=(
        Class(
            name="Vinyasa Flow Yoga",
            activity="Yoga",
            description="An hour of flowing movement and breath in the upstairs studio. Mats are provided.",
            leader="Priya Nair",
            prices=(
                Price("Adult", 9.5, refund_until="P1D", prepayment="Required", minimum_age=16),
                Price("Concession", 6.25, refund_until="P1D", prepayment="Required"),
            ),
            sessions=(
                (-1, "18:30", 3),
                (1, "18:30", None),
                (4, "09:30", 11),
                (8, "18:30", None),
                (11, "09:30", None),
            ),
        ),
        Class(
            name="Aqua Aerobics",
            activity="Aqua Aerobics",
            description="A low-impact workout in the main pool, set to music. You need not be able to swim.",
            leader="Dawn Hollis",
            prices=(Price("Standard", 6.2, prepayment="Optional"),),
            sessions=((1, "10:00", None), (3, "19:15", 25), (6, "10:00", 8), (10, "19:15", None)),
            minutes=45,
            spaces=30,
            cancelled_days=(6,),
        ),
        Class(
            name="Walking Football for Over 50s",
            activity="Walking Football",
            description="Small-sided games at walking pace on the 3G pitch, and tea in the café afterwards.",
            leader="Clive Barton",
            prices=(Price("Free place", 0),),
            sessions=((2, "11:00", None), (9, "11:00", 17)),
            minutes=90,
            spaces=20,
            minimum_age=50,
        ),
        Class(
            name="Chair Yoga",
            activity="Chair Yoga",
            description="Gentle seated stretches for anyone who finds the floor hard to get up from.",
            leader="Priya Nair",
            prices=(Price("Standard", 4.5, prepayment="Required", closes="PT1H"),),
            sessions=((2, "14:00", 1), (5, "14:00", 0), (9, "14:00", 5)),
            minutes=45,
            spaces=8,
            level="Beginner",
        ),
        Class(
            name="Early Bird Spin",
            activity="Indoor Cycling",
            description="Hills, sprints and a strong coffee. Pay at reception when you arrive.",
            leader="Tom Okafor",
            prices=(Price("Pay at reception", 5, refund=False, prepayment="Unavailable"),),
            sessions=((1, "06:45", None), (3, "06:45", 4), (7, "06:45", None)),
            minutes=45,
            spaces=18,
            level="Intermediate",
        ),
        Class(
            name="Saturday Circuits",
            activity="Circuit Training",
            description="Twelve stations, two laps, every major muscle group. Booking opens a week ahead.",
            leader="Tom Okafor",
            prices=(Price("Standard", 7.8, prepayment="Required", opens="P7D"),),
            sessions=((5, "09:00", None), (12, "09:00", None)),
            spaces=24,
        ),
        Class(
            name="Couch to 5K",
            activity="Running",
            description="Nine weeks from the sofa to the Downs. A run leader keeps everybody together.",
            leader="Hannah Reyes",
            prices=(Price("Course place", 3, refund=False, needs=("OpenBookingAttendeeDetails",)),),
            sessions=((2, "18:00", None), (9, "18:00", None)),
            spaces=12,
            level="Beginner",
            asks_attendee=("givenName", "familyName", "telephone"),
        ),
        Class(
            name="Boccia Club",
            activity="Boccia",
            description="Boccia for disabled players and friends, with ramps and assistants on hand.",
            leader="Clive Barton",
            prices=(Price("Player", 2.5, prepayment="Optional", needs=("OpenBookingIntakeForm",)),),
            sessions=((4, "15:00", None), (11, "15:00", 2)),
            minutes=90,
            spaces=10,
            minimum_age=11,
            asks=(
                _choice(
                    "How will you play?",
                    "So that we can set out the right ramps.",
                    ["Throwing", "Kicking", "Ramp"],
                ),
                _paragraph("Access needs", "Anything that would make your visit easier."),
                _tick("Photographs", "I am happy to appear in photographs of the club."),
            ),
        ),
        Class(
            name="Table Tennis Coaching, One to One",
            activity="Table Tennis",
            description="An hour with a level 2 coach. The coach confirms every booking personally.",
            leader="Wei Zhang",
            prices=(
                Price(
                    "Coaching hour",
                    28,
                    refund_until="P2D",
                    prepayment="Required",
                    needs=("OpenBookingApproval",),
                ),
            ),
            sessions=((3, "16:00", None), (6, "16:00", None), (10, "16:00", None)),
            spaces=1,
        ),
        Class(
            name="Evening Pilates Online",
            activity="Pilates",
            description="A live mat class over video, with the teacher watching everybody's form.",
            leader="Sian Pritchard",
            prices=(Price("Household", 5.99, prepayment="Required"),),
            sessions=((1, "20:00", None), (8, "20:00", None)),
            spaces=40,
            online=True,
            instructions="The link to the class is on your booking. Have a mat and a small cushion ready.",
        ),
    ),
    facilities=(
        Facility(
            name="Badminton Courts",
            facility_type="Badminton Court",
            description="A full-size court in the sports hall. Rackets can be hired at reception.",
            prices=(Price("Court hire", 11.4, refund_until="P1D", prepayment="Required"),),
            days=(1, 2, 5, 8),
            times=("18:00", "19:00", "20:00"),
            minutes=60,
            courts=("Court 1", "Court 2", "Court 3"),
            taken=frozenset({(1, "18:00", 1), (1, "19:00", 1), (2, "19:00", 3)}),
        ),
        Facility(
            name="Table Tennis",
            facility_type="Table Tennis Table",
            description="Six tables in the small hall, bats and balls included.",
            prices=(
                Price("Table", 5.6, prepayment="Optional"),
                Price("Junior table", 3.2, prepayment="Optional"),
            ),
            days=(1, 4, 7),
            times=("17:00", "18:00"),
            minutes=60,
            spaces=6,
        ),
    ),
    occasions=(
        Occasion(
            OpportunityType.CourseInstance,
            name="Tai Chi for Beginners",
            activity="Tai Chi",
            description="Three mornings that build on each other. The last one can be booked separately, too.",
            price=Price("Course", 30),
            day=6,
            time="10:00",
            minutes=2 * 24 * 60 + 60,
            parts=(
                Part("Balance and breathing", 6, "10:00"),
                Part("The first form", 7, "10:00"),
                Part("Open practice", 8, "10:00", Price("Single session", 12)),
            ),
        ),
        Occasion(
            OpportunityType.HeadlineEvent,
            name="Riverside Run",
            activity="Running",
            description="A day of runs. One entry is for both; the short one can be booked separately, too.",
            price=Price("Both runs", 20, refund_until="P1D"),
            day=9,
            time="09:00",
            minutes=240,
            spaces=200,
            parts=(
                Part("Five kilometres", 9, "09:00", Price("Five kilometres", 8)),
                Part("Ten kilometres", 9, "11:00"),
            ),
        ),
        Occasion(
            OpportunityType.Event,
            name="Open Evening of Table Tennis",
            activity="Table Tennis",
            description="Come and try. Bats are provided.",
            price=Price("Everyone", 0, refund=False),
            day=5,
            time="18:30",
            minutes=120,
            spaces=24,
        ),
        Occasion(
            OpportunityType.OnDemandEvent,
            name="Pilates at Home",
            activity="Pilates",
            description="A video of forty minutes, to be used at any time.",
            price=Price("Video", 4.5),
        ),
    ),
)


PORTER_VALLEY = Operator(
    name="Porter Valley Sports",
    legal_name="Porter Valley Community Sports CIC",
    description="A community interest company with a climbing wall, courts and a studio in Sheffield.",
    site="https://porter-valley-sports.example",
    email="hello@porter-valley-sports.example",
    telephone="0114 496 0387",
    vat_id="GB999999981",
    tax_is_added=True,
    place_name="Porter Valley Sports Hub",
    street="Old Forge Works, Porter Road",
    locality="Sheffield",
    region="South Yorkshire",
    postcode="S11 8QQ",
    latitude=53.3641,
    longitude=-1.5012,
    classes=(
        Class(
            name="Learn the Ropes",
            activity="Climbing",
            description="Your first two hours on the wall: harness, knots, belaying, and plenty of climbing.",
            leader="Jess Ackroyd",
            prices=(
                Price(
                    "Adult",
                    22,
                    refund_until="P3D",
                    prepayment="Required",
                    needs=("OpenBookingAttendeeDetails", "OpenBookingIntakeForm"),
                ),
            ),
            sessions=((2, "18:00", None), (6, "10:00", 4), (9, "18:00", None)),
            minutes=120,
            spaces=6,
            level="Beginner",
            asks_attendee=("givenName", "familyName", "email"),
            asks=(
                _choice("Shoe size", "We lend the shoes.", ["3-4", "5-6", "7-8", "9-10", "11-12"]),
                _short("Emergency contact", "A name and a telephone number.", required=True),
                _tick("Participation statement", "I accept that climbing carries a risk of injury."),
            ),
        ),
        Class(
            name="Power Yoga",
            activity="Yoga",
            description="Strong, sweaty and fast. Come with a bottle of water.",
            leader="Marcus Bell",
            prices=(
                Price("Standard", 8, refund_until="PT12H", prepayment="Required"),
                Price("Student", 5.5, refund_until="PT12H", prepayment="Required"),
            ),
            sessions=((-1, "12:10", 6), (1, "12:10", None), (3, "12:10", 9), (8, "12:10", None)),
            minutes=50,
            spaces=14,
            level="Advanced",
        ),
        Class(
            name="Tai Chi in the Park",
            activity="Tai Chi",
            description="A slow start to the day beside the mill pond. In heavy rain we move indoors.",
            leader="Lin Fielding",
            prices=(Price("Free place", 0, prepayment="Unavailable"),),
            sessions=((1, "08:00", None), (4, "08:00", 30), (8, "08:00", None)),
            spaces=35,
        ),
        Class(
            name="Back to Netball",
            activity="Netball",
            description="For women who last played at school and would like to again. No team needed.",
            leader="Carol Whitworth",
            prices=(Price("Session", 4, prepayment="Optional"),),
            sessions=((3, "19:00", None), (10, "19:00", 1)),
            spaces=21,
        ),
        Class(
            name="Small Group Strength",
            activity="Circuit Training",
            description="Barbells and kettlebells, four to a coach. Bring cash or a card on the night.",
            leader="Marcus Bell",
            prices=(Price("Pay on the night", 10, refund=False, prepayment="Unavailable"),),
            sessions=((2, "20:00", 0), (5, "20:00", 1), (9, "20:00", None)),
            spaces=4,
        ),
        Class(
            name="Lead Climbing Assessment",
            activity="Climbing",
            description="Half an hour with an instructor, who looks at your climbing log before confirming.",
            leader="Jess Ackroyd",
            prices=(Price("Assessment", 15, refund_until="P1D", needs=("OpenBookingApproval",)),),
            sessions=((4, "17:30", None), (7, "17:30", None)),
            minutes=30,
            spaces=2,
            level="Advanced",
        ),
        Class(
            name="Sunday Spin Marathon",
            activity="Indoor Cycling",
            description="Three hours in the saddle for the mountain rescue team. Booking opens a week ahead.",
            leader="Ravi Shah",
            prices=(Price("Rider", 12, refund=False, prepayment="Required", opens="P7D"),),
            sessions=((6, "09:00", None), (13, "09:00", None)),
            minutes=180,
            spaces=25,
        ),
        Class(
            name="Pilates at Home",
            activity="Pilates",
            description="A live class over video. Slow, precise and harder than it looks.",
            leader="Sian Pritchard",
            prices=(Price("Household", 4.75, prepayment="Required", closes="PT30M"),),
            sessions=((2, "07:00", None), (7, "07:00", None)),
            minutes=40,
            spaces=50,
            online=True,
            instructions="Your booking holds the link. Please join five minutes early.",
        ),
    ),
    facilities=(
        Facility(
            name="Squash Courts",
            facility_type="Squash Court",
            description="Two glass-backed courts, forty minutes a game.",
            prices=(
                Price("Peak", 9, refund_until="PT6H", prepayment="Required"),
                Price("Student", 6, refund_until="PT6H", prepayment="Required"),
            ),
            days=(1, 3, 6),
            times=("12:00", "17:20", "18:00", "18:40"),
            minutes=40,
            courts=("Court A", "Court B"),
            taken=frozenset({(1, "18:00", 2), (3, "17:20", 1)}),
        ),
        Facility(
            name="Bouldering Wall",
            facility_type="Climbing Wall",
            description="Two hours on the bouldering wall, for climbers who have been before.",
            prices=(
                Price("Adult", 9.2, prepayment="Required"),
                Price("Under 18", 0, refund=False),
            ),
            days=(1, 2, 3, 8),
            times=("10:00", "18:00"),
            minutes=120,
            spaces=30,
        ),
    ),
)

OPERATORS = (AVONMEAD, PORTER_VALLEY)
