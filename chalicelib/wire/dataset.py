"""The dataset site: what is published here and where, for machines (JSON-LD) and for people (HTML).

Decides the shape of both (DATASET); who publishes is told by `DatasetDetails`. Knows nothing of
settings, requests or feeds beyond their addresses.
"""

import json
from dataclasses import dataclass
from html import escape
from typing import Any

Json = dict[str, Any]

CC_BY = "https://creativecommons.org/licenses/by/4.0/"
RPDE_MEDIA_TYPE = "application/vnd.openactive.rpde+json; version=1"
SPECIFICATION = "https://openactive.io/open-booking-api/EditorsDraft/1.0CR3/"
ENDPOINT_DESCRIPTION = "https://www.openactive.io/open-booking-api/EditorsDraft/swagger.json"
OPEN_DATA_GUIDE = "https://permalink.openactive.io/dataset-site/open-data-documentation"
BOOKING_GUIDE = "https://permalink.openactive.io/dataset-site/open-booking-api-documentation"

# Escaped, no text in the data can end the script element or begin another (the HTML parser
# looks for "</script" and "<!--" only), and JSON reads the escapes as the same characters.
_SCRIPT_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


@dataclass(frozen=True)
class DatasetDetails:
    """Who publishes, and with which Booking System; every URL absolute.

    `publisher_logo_url` and `publisher_legal_name` are not optional because the OpenActive
    validator refuses a dataset without them. `discussion_url` should be the issues page of a
    public repository. `booking_access_url` is where a Broker asks for access; the dataset site
    itself if None.
    """

    name: str
    description: str
    publisher_name: str
    publisher_legal_name: str
    publisher_url: str
    publisher_logo_url: str
    booking_service_name: str
    discussion_url: str
    publisher_email: str | None = None
    booking_service_url: str | None = None
    booking_service_version: str | None = None
    booking_terms_url: str | None = None
    booking_access_url: str | None = None
    authentication_authority: str | None = None
    license_url: str = CC_BY
    language: str = "en-GB"
    keywords: tuple[str, ...] = (
        "Sessions",
        "Facilities",
        "Activities",
        "Sports",
        "Physical Activity",
        "OpenActive",
    )


@dataclass(frozen=True)
class DatasetFeed:
    """One open feed: its path under /feeds, the type of its items, and its name to people."""

    path: str
    item_type: str
    title: str


FEEDS = (
    DatasetFeed("session-series", "SessionSeries", "Session series"),
    DatasetFeed("scheduled-sessions", "ScheduledSession", "Scheduled sessions"),
    DatasetFeed("facility-uses", "FacilityUse", "Facility uses"),
    DatasetFeed("slots", "Slot", "Slots"),
)


def dataset_document(base_url: str, details: DatasetDetails, feeds: tuple[DatasetFeed, ...] = FEEDS) -> Json:
    """The dataset as JSON-LD, for a system reached at `base_url` (no slash at its end)."""
    site = f"{base_url}/openactive"
    return {
        # schema.org comes first in this document alone, as search engines read it too.
        "@context": ["https://schema.org/", "https://openactive.io/"],
        "@type": "Dataset",
        "@id": site,
        "url": site,
        "name": details.name,
        "description": details.description,
        "keywords": list(details.keywords),
        "license": details.license_url,
        "inLanguage": [details.language],
        "schemaVersion": "https://openactive.io/modelling-opportunity-data/2.0/",
        "documentation": OPEN_DATA_GUIDE,
        "discussionUrl": details.discussion_url,
        "publisher": _without_none(
            {
                "@type": "Organization",
                "name": details.publisher_name,
                "legalName": details.publisher_legal_name,
                "url": details.publisher_url,
                "email": details.publisher_email,
                "logo": {"@type": "ImageObject", "url": details.publisher_logo_url},
            }
        ),
        "bookingService": _without_none(
            {
                "@type": "BookingService",
                "name": details.booking_service_name,
                "url": details.booking_service_url,
                "softwareVersion": details.booking_service_version,
            }
        ),
        "accessService": _without_none(
            {
                "@type": "WebAPI",
                "name": "Open Booking API",
                "description": f"Book what {details.publisher_name} publishes here.",
                "conformsTo": [SPECIFICATION],
                "documentation": BOOKING_GUIDE,
                "endpointDescription": ENDPOINT_DESCRIPTION,
                "endpointUrl": f"{base_url}/api/openbooking",
                "landingPage": details.booking_access_url or site,
                "termsOfService": details.booking_terms_url,
                # Its presence tells Brokers that they log in with OpenID Connect.
                "authenticationAuthority": details.authentication_authority,
            }
        ),
        "distribution": [
            {
                "@type": "DataDownload",
                "identifier": feed.item_type,
                "name": feed.item_type,
                "additionalType": f"https://openactive.io/{feed.item_type}",
                "encodingFormat": RPDE_MEDIA_TYPE,
                "contentUrl": f"{base_url}/feeds/{feed.path}",
            }
            for feed in feeds
        ],
    }


def dataset_page(document: Json, feeds: tuple[DatasetFeed, ...] = FEEDS) -> str:
    """The dataset as a page for people, with `document` inside it for machines (DATASET-01).

    Without scripts, styles or images from anywhere else, so that it may be served with
    a Content-Security-Policy that allows inline style alone.
    """
    publisher, service, booking = document["publisher"], document["accessService"], document["bookingService"]
    titles = {feed.item_type: feed.title for feed in feeds}
    rows = "\n".join(
        f"<li>{_link(feed['contentUrl'], titles.get(feed['name'], feed['name']))}"
        f"<code>{escape(feed['contentUrl'])}</code></li>"
        for feed in document["distribution"]
    )
    facts = [
        ("Publisher", _link(publisher["url"], publisher["name"])),
        ("Booking system", _link(booking.get("url"), booking["name"])),
        ("Licence", _link(document["license"], _licence_name(document["license"]))),
        ("Questions", _link(document["discussionUrl"], "Ask or report a problem")),
    ]
    if email := publisher.get("email"):
        facts.append(("Contact", _link(f"mailto:{email}", email)))
    api = [
        ("Address", f"<code>{escape(service['endpointUrl'])}</code>"),
        ("Specification", _link(service["conformsTo"][0], "Open Booking API 1.0")),
        ("Guide for developers", _link(service["documentation"], "Using the Open Booking API")),
    ]
    if service["landingPage"] != document["url"]:
        api.append(("Access", _link(service["landingPage"], "Ask for access")))
    if terms := service.get("termsOfService"):
        api.append(("Terms", _link(terms, "Terms of service")))
    return _PAGE.format(
        language=escape(document["inLanguage"][0]),
        title=escape(document["name"]),
        description=escape(document["description"]),
        style=_STYLE,
        document=json.dumps(document, ensure_ascii=False, indent=1).translate(_SCRIPT_ESCAPES),
        feeds=rows,
        guide=_link(document["documentation"], "How to read the feeds"),
        api=_facts(api),
        facts=_facts(facts),
    )


def _facts(pairs: list[tuple[str, str]]) -> str:
    return "\n".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in pairs)


def _link(url: str | None, text: str) -> str:
    # Any other scheme, above all javascript:, is shown as the text alone.
    if url is None or not url.startswith(("https://", "http://", "mailto:")):
        return escape(text)
    return f'<a href="{escape(url)}">{escape(text)}</a>'


def _licence_name(url: str) -> str:
    return "Creative Commons Attribution 4.0 (CC BY 4.0)" if url == CC_BY else url


def _without_none(properties: Json) -> Json:
    return {name: value for name, value in properties.items() if value is not None}


_STYLE = """
:root { color-scheme: light dark; --line: #8888; --soft: #8882; }
body { font: 1.05rem/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 46rem;
  padding: 1.5rem 1.1rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .6rem; }
h2 { border-top: 1px solid var(--line); font-size: 1.2rem; margin: 2rem 0 .6rem;
  padding-top: 1.2rem; }
ul { list-style: none; margin: 0; padding: 0; }
li { padding: .45rem 0; }
li a { display: inline-block; font-weight: 600; margin-right: .3rem; min-width: 13rem;
  padding: .2rem 0; }
code { background: var(--soft); border-radius: .25rem; font-size: .88em;
  overflow-wrap: anywhere; padding: .1rem .35rem; }
dl { display: grid; gap: .4rem .6rem; grid-template-columns: 13rem 1fr; margin: 0; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) {
  li code { display: table; }
  dl { display: block; }
  dd { margin-bottom: .7rem; }
}
""".strip()

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<meta name="description" content="{description}">
<script type="application/ld+json">
{document}
</script>
<style>
{style}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{description}</p>
<h2>Open data feeds</h2>
<p>Everything on offer, with prices and places left, kept up to date. {guide}</p>
<ul>
{feeds}
</ul>
<h2>Booking</h2>
<p>Brokers book with the Open Booking API at this address.</p>
<dl>
{api}
</dl>
<h2>About this data</h2>
<dl>
{facts}
</dl>
</main>
</body>
</html>
"""
