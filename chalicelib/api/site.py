"""The dataset site, and the other paths that a browser requests with it."""

from chalice.app import Blueprint

from chalicelib.api.boundary import Call, Reply, Resource, page_reply, register

blueprint = Blueprint(__name__)

_A_DAY = "public, max-age=86400"


def home(call: Call) -> Reply:
    """A redirect from the base URL to the dataset site."""
    return Reply(303, None, {"Location": f"{call.base_url}/openactive", "Cache-Control": _A_DAY})


def dataset_site(call: Call) -> Reply:
    """The dataset site, for people and, as JSON-LD, for programs (DATASET-01)."""
    from chalicelib.pages.dataset_site import dataset_page
    from chalicelib.wire.dataset import dataset_document

    document = dataset_document(call.base_url, call.system.dataset_details(call.base_url))
    return page_reply(200, dataset_page(call.service, document))


def favicon(call: Call) -> Reply:
    """The icon of every page; browsers request it as .ico if no page names it, for example with a feed."""
    from chalicelib.pages import rendering

    headers = {"Cache-Control": _A_DAY, "X-Content-Type-Options": "nosniff"}
    return Reply(200, rendering.favicon(), headers, rendering.FAVICON_MEDIA_TYPE)


for _resource in (
    Resource("/", {"GET": home}, any_origin=True),
    Resource("/openactive", {"GET": dataset_site}, any_origin=True),
    Resource("/favicon.svg", {"GET": favicon}),
    Resource("/favicon.ico", {"GET": favicon}),
):
    register(blueprint, _resource)
