"""What the services refuse has a sentence, also where Python keeps no docstrings and no asserts."""

import subprocess
import sys
from pathlib import Path

CODE = """
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from tests.support.oauth import CHEAP
from tests.support.tokens import quick_key
from tests.support.world import World

system = World().system
system.passwords, system.keys.make_key = CHEAP, quick_key
desk = Administration(system, "kim")
partner, _ = desk.partners.add("Broker", own_id="broker", seller="1")
for refused in (
    lambda: desk.partners.suspend("x"),
    lambda: desk.partners.resume("broker"),
    lambda: desk.partners.add("Broker", own_id="broker"),
    lambda: desk.logins.add("alex", ["1"], "short"),
    lambda: desk.signing_keys.forget("x"),
):
    try:
        refused()
    except AdministrationError as error:
        print(error)
print(system.issuer.access_token("https://booking.example", "broker", None, ()).count("."))
"""


def test_texts_and_tokens_are_the_same_without_docstrings_and_asserts() -> None:
    said = []
    for options in ([], ["-OO"]):
        ran = subprocess.run(
            [sys.executable, *options, "-c", CODE],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        said.append(ran.stdout.splitlines())
    plain, stripped = said
    assert stripped == plain
    assert plain == [
        "There is no booking partner 'x'.",
        "Booking partner broker is not suspended.",
        "There is a booking partner broker already.",
        "A password has 12 to 200 characters.",
        "There is no signing key 'x'.",
        "2",
    ]
