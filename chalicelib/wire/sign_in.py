"""The pages on which a Seller logs in and allows a booking partner to act for it.

Plain HTML forms that work without scripts, in any browser, on a phone and with a screen reader. Nothing on
them comes from anywhere else, and what partners say of themselves is shown as text alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape

# What each scope means to somebody who has never heard of scopes; the others go without saying.
_MEANINGS = {
    "openactive-openbooking": "See your availability, and make and cancel bookings with you",
    "openactive-identity": "See your name, web site and logo",
    "openactive-ordersfeed": "Follow changes to the bookings it has made",
    "offline_access": "Go on doing so until you or the operator end it",
}


class Problem(StrEnum):
    """Why somebody is shown the login page again."""

    wrong = "That user name and password do not go together. Please try again."
    too_many_attempts = "There have been too many attempts. Please wait a quarter of an hour, then try again."


@dataclass(frozen=True)
class Trouble:
    """What has gone wrong, and what to do."""

    title: str
    advice: str


def headers(form_targets: Sequence[str]) -> dict[str, str]:
    """What goes with every page: nothing foreign in it, it in nothing foreign, and no copy of it kept."""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {' '.join(form_targets)}"
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def login_page(
    ticket: str, partner: str, service: str, *, username: str = "", problem: Problem | None = None
) -> str:
    """User name and password for the booking service. `ticket` goes with the form; `problem` is told above it."""
    alert, described = "", ""
    if problem is not None:
        alert = f'<p class="alert" id="problem" role="alert">{escape(problem)}</p>'
        described = ' aria-describedby="problem" aria-invalid="true"'
    start_with_password = " autofocus" if username else ""
    start_with_username = "" if username else " autofocus"
    return _page(
        f"Log in to {service}",
        f"""<h1>Log in to {escape(service)}</h1>
<p><strong>{escape(partner)}</strong> would like to take bookings for you. Log in to go on.</p>
{alert}
{_form(ticket)}
<label for="username">User name</label>
<input id="username" name="username" type="text" autocomplete="username" autocapitalize="none"
 spellcheck="false" required maxlength="200" value="{escape(username)}"{described}{start_with_username}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required
 maxlength="200"{described}{start_with_password}>
<button class="btn btn-primary" type="submit">Log in</button>
</form>""",
    )


def consent_page(
    ticket: str,
    *,
    partner: str,
    partner_url: str | None,
    username: str,
    sellers: Sequence[tuple[str, str]],
    scopes: Sequence[str],
) -> str:
    """What the partner asks for, and for which of the login's `sellers` (id and name)."""
    meanings = "\n".join(f"<li>{escape(_MEANINGS[scope])}</li>" for scope in scopes if scope in _MEANINGS)
    site = f'<p class="soft">{escape(partner_url)}</p>' if partner_url else ""
    return _page(
        f"Allow {partner}?",
        f"""<h1>Allow {escape(partner)}?</h1>
{site}
<p><strong>{escape(partner)}</strong> asks to act for {_whom(sellers)}. It would be able to:</p>
<ul>
{meanings}
</ul>
{_form(ticket)}
{_choice(sellers)}
<button class="btn btn-primary" type="submit" name="decision" value="allow">Allow</button>
<button class="btn" type="submit" name="decision" value="deny">Do not allow</button>
</form>
<p class="soft">You are logged in as {escape(username)}. You can end this at any time: ask the operator of
this booking system.</p>""",
    )


def trouble_page(trouble: Trouble) -> str:
    """A dead end, with the way out."""
    return _page(trouble.title, f"<h1>{escape(trouble.title)}</h1>\n<p>{escape(trouble.advice)}</p>")


def _form(ticket: str) -> str:
    return (
        f'<form method="post" action="authorize"><input type="hidden" name="ticket" value="{escape(ticket)}">'
    )


def _whom(sellers: Sequence[tuple[str, str]]) -> str:
    return f"<strong>{escape(sellers[0][1])}</strong>" if len(sellers) == 1 else "one of your organisations"


def _choice(sellers: Sequence[tuple[str, str]]) -> str:
    if len(sellers) == 1:
        return f'<input type="hidden" name="seller" value="{escape(sellers[0][0])}">'
    options = "\n".join(
        f'<label class="option"><input type="radio" name="seller" value="{escape(seller_id)}" required>'
        f"<span>{escape(name)}</span></label>"
        for seller_id, name in sellers
    )
    return f"<fieldset><legend>Which one?</legend>\n{options}\n</fieldset>"


def _page(title: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<style>
{_STYLE}
</style>
</head>
<body>
<main>
{content}
</main>
</body>
</html>
"""


_STYLE = """
:root { color-scheme: light dark; --page: #eef2f1; --card: #fff; --text: #14211f; --soft: #4a5a57;
  --line: #7b8a87; --strong: #0b5d52; --on-strong: #fff; --alert: #a3130f; --alert-page: #fdecea; }
@media (prefers-color-scheme: dark) {
  :root { --page: #101716; --card: #1a2322; --text: #eaf1ef; --soft: #b0bfbb; --line: #83938f;
    --strong: #7fd6c6; --on-strong: #06231e; --alert: #ffb4ab; --alert-page: #3a1512; }
}
* { box-sizing: border-box; }
body { background: var(--page); color: var(--text); font: 1.05rem/1.5 system-ui, sans-serif; margin: 0;
  min-height: 100vh; padding: 1rem; }
main { background: var(--card); border-radius: .75rem; margin: 6vh auto 1rem; max-width: 28rem;
  padding: 1.75rem 1.5rem; box-shadow: 0 1px 4px #0003; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .75rem; overflow-wrap: anywhere; }
p { margin: 0 0 1rem; overflow-wrap: anywhere; }
ul { margin: 0 0 1.25rem; padding-left: 1.25rem; }
li { margin: .35rem 0; }
label, legend { display: block; font-weight: 600; margin: 0 0 .3rem; }
input[type=text], input[type=password] { background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; color: inherit; font: inherit; margin: 0 0 1rem; padding: .65rem .75rem; width: 100%; }
fieldset { border: 1px solid var(--line); border-radius: .4rem; margin: 0 0 1rem; padding: .6rem .9rem; }
.option { align-items: center; display: flex; font-weight: 400; gap: .6rem; min-height: 2.75rem; margin: 0; }
.btn { background: transparent; border: 1px solid var(--line); border-radius: .4rem; color: inherit;
  cursor: pointer; display: block; font: inherit; font-weight: 600; margin: .6rem 0 0; min-height: 2.9rem;
  padding: .6rem 1rem; width: 100%; }
.btn-primary { background: var(--strong); border-color: var(--strong); color: var(--on-strong); }
:focus-visible { outline: 3px solid var(--strong); outline-offset: 2px; }
.alert { background: var(--alert-page); border-left: .3rem solid var(--alert); border-radius: .25rem;
  color: var(--alert); font-weight: 600; padding: .7rem .9rem; }
.soft { color: var(--soft); font-size: .95rem; }
form + .soft { margin: 1.25rem 0 0; }
""".strip()
