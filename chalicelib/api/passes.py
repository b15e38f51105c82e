"""The image of an access pass: its text as a QR code (ACCESS-04).

The text is all that a pass consists of, and cannot be guessed; the link already contains it. Nothing is
read, and no authentication is needed.
"""

import io
import re

from chalice.app import Blueprint

from chalicelib.api.boundary import Call, Reply, Resource, register
from chalicelib.domain.errors import UnknownOrIncorrectEndpointError

blueprint = Blueprint(__name__)

_FILE = re.compile(r"([2-9A-HJ-NP-Z]{12})\.svg")


def show(call: Call) -> Reply:
    """The image, which never changes."""
    match = _FILE.fullmatch(call.params["file"])
    if match is None:
        raise UnknownOrIncorrectEndpointError("There is no such pass.")
    import segno  # here, so that a cold start of the API does not wait for it

    image = io.BytesIO()
    segno.make_qr(match[1]).save(image, kind="svg", scale=8, border=4)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Reply(200, image.getvalue().decode(), headers, "image/svg+xml")


register(blueprint, Resource("/api/passes/{file}", {"GET": show}))
