"""`openbooking partners|sellers|logins|tokens|journal`: which commands there are, and what they say.

What they do is in the modules beside this one; it is imported when a command runs.
"""

import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openbooking.cli.terminal import DynamodbUrl, attached, console, on_stage, refuse

if TYPE_CHECKING:
    from openbooking.identities.desk import Desk

Row = Mapping[str, Any]

Stage = Annotated[
    str | None, typer.Option(help="Work on this stage on AWS, with the credentials boto3 finds.")
]
By = Annotated[
    str | None, typer.Option(help="Who does it, for the journal; else your user name, on AWS your ARN.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
PartnerId = Annotated[str, typer.Argument(metavar="PARTNER", help="The partner's client id.")]
SellerId = Annotated[str, typer.Argument(metavar="SELLER", help="The Seller's id, as `sellers list` has it.")]
Username = Annotated[str, typer.Argument(metavar="USERNAME")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password up, and show it once.")]


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(help=help_text, no_args_is_help=True)


partners_app = _group("Booking partners: their credentials, and what Sellers allow them.")
sellers_app = _group("Sellers, and which booking partners they allow.")
logins_app = _group("Logins of people who may speak for Sellers.")
tokens_app = _group("Refresh tokens that are out, and the keys that sign.")


def add_to(app: typer.Typer) -> None:
    """Make these commands part of the command line."""
    app.add_typer(partners_app, name="partners")
    app.add_typer(sellers_app, name="sellers")
    app.add_typer(logins_app, name="logins")
    app.add_typer(tokens_app, name="tokens")
    _command(app, "journal")(journal)


def _command(
    app: typer.Typer, name: str, *, changes: bool = False, signing_key: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function of a desk a command. The options that say whose desk it is come along.

    `changes`: it can be said who does it. `signing_key`: on a stage it needs the key that seals.
    """

    def declare(work: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(work)
        def run(*, stage: str | None, dynamodb_url: str | None, by: str | None = None, **given: Any) -> None:
            with at_desk(stage, dynamodb_url, by=by, changes=changes, signing_key=signing_key) as desk:
                work(desk, **given)

        _, *own = inspect.signature(work).parameters.values()
        where = {"stage": Stage, "dynamodb_url": DynamodbUrl} | ({"by": By} if changes else {})
        shared = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for option, kind in where.items()
        ]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
        return app.command(name)(run)

    return declare


@contextmanager
def at_desk(
    stage: str | None,
    dynamodb_url: str | None,
    *,
    by: str | None = None,
    changes: bool = False,
    signing_key: bool = False,
) -> Iterator["Desk"]:
    """The desk of the installation that is meant. Whatever is refused within ends the command with a sentence."""
    from botocore.exceptions import BotoCoreError, ClientError
    from pynamodb.exceptions import PynamoDBException

    from chalicelib.runtime.settings import SettingsError
    from chalicelib.runtime.system import from_environment
    from chalicelib.storage.errors import StillBusy, StoreBusy
    from openbooking.identities.desk import Desk, Refused
    from openbooking.local.discovery import running_stack
    from openbooking.local.stack import environment_variables

    if stage and dynamodb_url:
        refuse("Either --stage or an engine (--dynamodb-url, DYNAMODB_URL), not both.")
    desk = None
    try:
        with ExitStack() as entered:
            own_url = None
            if stage:
                entered.enter_context(on_stage(stage, signing_key=signing_key))
            else:
                stack = None if dynamodb_url else running_stack()
                own_url = stack.url if stack else None
                entered.enter_context(attached(dynamodb_url))
            # What is done is told to a person here, and to the journal.
            quiet = {"LOG_LEVEL": "WARNING", "METRICS": "false", "PRODUCTION": "false"}
            entered.enter_context(environment_variables(quiet))
            system = from_environment()
            desk = Desk(system, own_url=own_url or system.settings.base_url or None)
            desk.reach()
            if changes:
                desk.by = by or _who(stage)
            yield desk
    except Refused as refused:
        refuse(str(refused))
    except (StillBusy, StoreBusy):
        refuse("The engine is too busy, or others change the same thing. Look what was done, and try again.")
    except (SettingsError, BotoCoreError, ClientError, PynamoDBException) as error:
        refuse(f"This cannot be done: {error}.")
    if desk is not None and desk.unnoted:
        refuse(desk.unnoted)


def _who(stage: str | None) -> str:
    """Who is at the keyboard: on AWS by the ARN of the credentials."""
    if stage:
        import boto3

        return str(boto3.client("sts").get_caller_identity()["Arn"])
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


# --- partners ---------------------------------------------------------------------------------


@_command(partners_app, "add", changes=True)
def add_partner(
    desk: "Desk",
    name: Annotated[str, typer.Argument(metavar="NAME", help="Shown to Sellers who are asked to allow it.")],
    own_id: Annotated[str | None, typer.Option("--id", help="Its client id, if not a random one.")] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(help="Where its Sellers are sent back to; may be repeated.")
    ] = None,
    seller: Annotated[
        str | None, typer.Option(help="The Seller it may act for without anybody's login.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Its web site, shown with its name.")] = None,
) -> None:
    """Add a booking partner, and show its client id and secret, once."""
    from openbooking.identities import partners

    partner, secret = partners.add(
        desk, name, own_id=own_id, redirect_uris=redirect_uri or (), seller=seller, url=url
    )
    _tell_once({"client id": partner.id, "client secret": secret})


@_command(partners_app, "list")
def list_partners(desk: "Desk", as_json: AsJson = False) -> None:
    """All booking partners."""
    from openbooking.identities import partners

    _show(partners.listed(desk), as_json, none="There are no booking partners.")


@_command(partners_app, "show")
def show_partner(desk: "Desk", partner: PartnerId, as_json: AsJson = False) -> None:
    """One booking partner, with the Sellers that allow it."""
    from openbooking.identities import partners

    shown = partners.shown(desk, partner)
    if as_json:
        _show([shown], as_json=True)
        return
    allowed_by = shown.pop("allowed_by")
    for name, value in shown.items():
        typer.echo(f"{name.replace('_', ' ') + ':':20}{_text(value, between=', ') or '-'}")
    _show(allowed_by, none="No Seller allows it.")


@_command(partners_app, "suspend", changes=True)
def suspend_partner(desk: "Desk", partner: PartnerId) -> None:
    """Give it no tokens until it is resumed."""
    from openbooking.identities import partners

    typer.echo(f"Booking partner {partners.suspend(desk, partner).id} is suspended.")


@_command(partners_app, "resume", changes=True)
def resume_partner(desk: "Desk", partner: PartnerId) -> None:
    """Let a suspended partner go on."""
    from openbooking.identities import partners

    resumed = partners.resume(desk, partner)
    needs = "" if resumed.secrets else " It has no secret: `rotate-secret` gives it one."
    typer.echo(f"Booking partner {resumed.id} is active again.{needs}")


@_command(partners_app, "rotate-secret", changes=True)
def rotate_secret(
    desk: "Desk",
    partner: PartnerId,
    keep_old: Annotated[int, typer.Option(min=0, help="Hours for which the old one is good too.")] = 24,
) -> None:
    """Give it a new secret, shown once. Its Orders stay its own."""
    from openbooking.identities import partners

    secret = partners.rotate_secret(desk, partner, keep_old=timedelta(hours=keep_old))
    _tell_once({"client id": partner, "client secret": secret})
    typer.echo(f"The old one ends in {keep_old} hours." if keep_old else "The old one has ended.")


@_command(partners_app, "revoke", changes=True)
def revoke_partner(desk: "Desk", partner: PartnerId) -> None:
    """End all it has: secrets, API keys, refresh tokens, what Sellers allow it. Its Orders stay."""
    from openbooking.identities import partners

    ended = partners.revoke(desk, partner)
    told = ", ".join(f"{what}: {number}" for what, number in ended.items())
    typer.echo(f"Booking partner {partner} is revoked. Ended with it: {told}.")


@_command(partners_app, "api-key", changes=True)
def make_api_key(
    desk: "Desk",
    partner: PartnerId,
    seller: Annotated[str | None, typer.Option(help="The Seller it may act for with this key.")] = None,
    note: Annotated[str, typer.Option(help="What the key is for; no secret.")] = "",
    days: Annotated[int | None, typer.Option(min=1, help="How long it is good; else until revoked.")] = None,
) -> None:
    """Give it an API key, shown once."""
    from openbooking.identities import partners

    _tell_once({"API key": partners.make_key(desk, partner, seller=seller, note=note, days=days)})


@_command(partners_app, "api-keys")
def list_api_keys(desk: "Desk", partner: PartnerId, as_json: AsJson = False) -> None:
    """Its API keys, each by the beginning of what is kept of it."""
    from openbooking.identities import partners

    _show(partners.keys_listed(desk, partner), as_json, none="It has no API keys.")


@_command(partners_app, "revoke-api-key", changes=True)
def revoke_api_key(
    desk: "Desk", key: Annotated[str, typer.Argument(metavar="KEY", help="As `api-keys` shows it.")]
) -> None:
    """End an API key."""
    from openbooking.identities import partners

    ended = partners.revoke_key(desk, key)
    typer.echo(f"The API key of {ended.partner_id} is refused within five minutes.")


@_command(partners_app, "invite", changes=True)
def invite_partner(
    desk: "Desk",
    note: Annotated[str, typer.Option(help="For whom it is.")] = "",
    uses: Annotated[int, typer.Option(min=1, help="How many may register with it.")] = 1,
    days: Annotated[int, typer.Option(min=1, help="How long it is good.")] = 14,
) -> None:
    """Make an initial access token, shown once, with which a partner can register itself."""
    from openbooking.identities import partners

    _tell_once({"initial access token": partners.invite(desk, note=note, uses=uses, days=days)})


@_command(partners_app, "invitations")
def list_invitations(desk: "Desk", as_json: AsJson = False) -> None:
    """Invitations that can still be used."""
    from openbooking.identities import partners

    _show(partners.invitations_listed(desk), as_json, none="There are no invitations.")


@_command(partners_app, "uninvite", changes=True)
def uninvite_partner(
    desk: "Desk",
    invitation: Annotated[str, typer.Argument(metavar="INVITATION", help="As `invitations` shows it.")],
) -> None:
    """Take an invitation back. Whoever has registered with it stays."""
    from openbooking.identities import partners

    partners.uninvite(desk, invitation)
    typer.echo("The invitation is withdrawn.")


# --- sellers ----------------------------------------------------------------------------------


@_command(sellers_app, "list")
def list_sellers(desk: "Desk", as_json: AsJson = False) -> None:
    """All Sellers, and the booking partners they allow."""
    from openbooking.identities import sellers

    _show(sellers.listed(desk), as_json, none="There are no Sellers.")


@_command(sellers_app, "add", changes=True)
def add_seller(
    desk: "Desk",
    own_id: Annotated[
        str | None, typer.Option("--id", help="Its URL in your feeds, or a name that becomes part of ours.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="As customers know it.")] = None,
    legal_name: Annotated[str | None, typer.Option(help="For receipts.")] = None,
    tax_mode: Annotated[
        str | None, typer.Option(help="gross: prices hold the tax; net: it comes on top.")
    ] = None,
    vat_rate: Annotated[str, typer.Option(help="The tax on its prices; 0 for none.")] = "0.20",
    file: Annotated[
        Path | None, typer.Option("--from", help="A JSON file with the Seller as the organizer of a feed.")
    ] = None,
    replacing: Annotated[bool, typer.Option("--replace", help="Where there is one of this id.")] = False,
) -> None:
    """Add a Seller. Options go before what stands in the file."""
    from openbooking.identities import sellers

    options = {"@id": own_id, "name": name, "legalName": legal_name, "taxMode": tax_mode}
    document = sellers.read_file(file) if file else {}
    document |= {term: value for term, value in options.items() if value is not None}
    seller, lacking = sellers.add(desk, document, vat_rate=vat_rate, replacing=replacing)
    typer.echo(f"Seller {desk.shown(seller.id)} is {'replaced' if replacing else 'added'}.")
    if lacking:
        typer.echo(f"Its receipts will lack {', '.join(lacking)}: give them with --from and --replace.")


@_command(sellers_app, "authorise", changes=True)
def authorise_partner(
    desk: "Desk",
    seller: SellerId,
    partner: PartnerId,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do; may be repeated. Else openactive-openbooking.")
    ] = None,
) -> None:
    """Allow a partner to act for a Seller with its own credentials alone, without anybody's login."""
    from openbooking.identities import sellers

    given = sellers.authorise(desk, seller, partner, *([scope] if scope else []))
    allowed = ", ".join(given.scopes)
    typer.echo(f"Booking partner {given.partner_id} may act for {desk.shown(given.seller_id)}: {allowed}.")


@_command(sellers_app, "revoke", changes=True)
def revoke_authorisation(
    desk: "Desk",
    seller: SellerId,
    partner: Annotated[
        str | None, typer.Argument(metavar="PARTNER", help="Only this partner; else all.")
    ] = None,
) -> None:
    """End what a Seller allows a partner, or all partners."""
    from openbooking.identities import sellers

    for ended in sellers.revoke(desk, seller, partner):
        typer.echo(f"{desk.shown(ended.seller_id)} no longer allows booking partner {ended.partner_id}.")


@_command(sellers_app, "suspend", changes=True)
def suspend_seller(desk: "Desk", seller: SellerId) -> None:
    """Let nobody act for it until it is resumed."""
    from openbooking.identities import sellers

    typer.echo(f"Seller {desk.shown(sellers.suspend(desk, seller).id)} is suspended.")


@_command(sellers_app, "resume", changes=True)
def resume_seller(desk: "Desk", seller: SellerId) -> None:
    """Let a suspended Seller go on."""
    from openbooking.identities import sellers

    typer.echo(f"Seller {desk.shown(sellers.resume(desk, seller).id)} is active again.")


# --- logins -----------------------------------------------------------------------------------


@_command(logins_app, "add", changes=True)
def add_login(
    desk: "Desk",
    username: Username,
    seller: Annotated[list[str], typer.Option(help="A Seller it speaks for; may be repeated.")],
    generate: Generate = False,
) -> None:
    """Add a login. The password is asked for, twice; it is never an argument."""
    from openbooking.identities import logins

    password = _password(generate)
    login = logins.add(desk, username, seller, password)
    if generate:
        _tell_once({"user name": login.username, "password": password})
    else:
        typer.echo(f"Login {login.username} is added.")


@_command(logins_app, "list")
def list_logins(desk: "Desk", as_json: AsJson = False) -> None:
    """All logins, and the Sellers for whom they speak."""
    from openbooking.identities import logins

    _show(logins.listed(desk), as_json, none="There are no logins.")


@_command(logins_app, "set-password", changes=True)
def set_password(desk: "Desk", username: Username, generate: Generate = False) -> None:
    """Replace a password."""
    from openbooking.identities import logins

    known_as = desk.login(username).username
    password = _password(generate)
    logins.set_password(desk, username, password)
    if generate:
        _tell_once({"user name": known_as, "password": password})
    else:
        typer.echo(f"Login {known_as} has a new password.")


@_command(logins_app, "allow", changes=True)
def allow_login(desk: "Desk", username: Username, seller: SellerId) -> None:
    """Let a login speak for one more Seller."""
    from openbooking.identities import logins

    logins.allow(desk, username, seller)
    typer.echo(f"Login {username} speaks for {seller} too.")


@_command(logins_app, "disallow", changes=True)
def disallow_login(desk: "Desk", username: Username, seller: SellerId) -> None:
    """Let a login no longer speak for a Seller. What it has allowed in its name stays."""
    from openbooking.identities import logins

    logins.disallow(desk, username, seller)
    typer.echo(f"Login {username} no longer speaks for {seller}.")


@_command(logins_app, "suspend", changes=True)
def suspend_login(desk: "Desk", username: Username) -> None:
    """Let nobody log in with it until it is resumed."""
    from openbooking.identities import logins

    typer.echo(f"Login {logins.suspend(desk, username).username} is suspended.")


@_command(logins_app, "resume", changes=True)
def resume_login(desk: "Desk", username: Username) -> None:
    """Let a suspended login go on."""
    from openbooking.identities import logins

    typer.echo(f"Login {logins.resume(desk, username).username} is active again.")


@_command(logins_app, "remove", changes=True)
def remove_login(desk: "Desk", username: Username) -> None:
    """Take a login away. What it has allowed in its Sellers' names stays."""
    from openbooking.identities import logins

    typer.echo(f"Login {logins.remove(desk, username).username} is removed.")


def _password(generate: bool) -> str:
    if generate:
        from chalicelib.identity.hashing import new_secret

        return new_secret()[:20]
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed


# --- tokens and keys --------------------------------------------------------------------------


@_command(tokens_app, "list")
def list_tokens(desk: "Desk", as_json: AsJson = False) -> None:
    """Refresh tokens that are good, by their grants; never the tokens themselves."""
    from openbooking.identities import tokens

    _show(tokens.listed(desk), as_json, none="There are no refresh tokens.")


@_command(tokens_app, "revoke", changes=True)
def revoke_tokens(
    desk: "Desk",
    grant: Annotated[str | None, typer.Argument(metavar="GRANT", help="As `tokens list` shows it.")] = None,
    partner: Annotated[str | None, typer.Option(help="All of this partner.")] = None,
    seller: Annotated[str | None, typer.Option(help="All of this Seller.")] = None,
) -> None:
    """End refresh tokens: somebody of the Seller has to log in anew."""
    from openbooking.identities import tokens

    typer.echo(f"Ended: {len(tokens.revoke(desk, grant, partner=partner, seller=seller))}.")


@_command(tokens_app, "keys")
def list_keys(desk: "Desk", as_json: AsJson = False) -> None:
    """The keys that our tokens are signed with."""
    from openbooking.identities import tokens

    _show(tokens.keys_listed(desk), as_json, none="There are no keys yet: the first token makes one.")


@_command(tokens_app, "rotate-keys", changes=True, signing_key=True)
def rotate_keys(
    desk: "Desk",
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Sign with it now, though not everyone has it yet.")
    ] = False,
) -> None:
    """Make a new key. It happens by itself every 90 days."""
    from openbooking.identities import tokens

    key = tokens.rotate_keys(desk, at_once=at_once)
    typer.echo(f"Key {key.kid} signs from {_text(key.signs_from)} UTC.")


@_command(tokens_app, "forget-key", changes=True)
def forget_key(
    desk: "Desk",
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `tokens keys` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a key away that others may have: all tokens it has signed are refused."""
    from openbooking.identities import tokens

    if not yes and not typer.confirm("All tokens that it has signed will be refused. Forget it?"):
        refuse("Nothing was changed.")
    tokens.forget_key(desk, key)
    typer.echo("The key is forgotten. Within a quarter of an hour nothing that it signed is taken any more.")


def journal(
    desk: "Desk",
    month: Annotated[str | None, typer.Option(help="Such as 2026-07; else this one (UTC).")] = None,
    as_json: AsJson = False,
) -> None:
    """What was done with these commands in a month, and by whom."""
    _show(desk.journal(month), as_json, none="Nothing was done.")


# --- what a person sees -----------------------------------------------------------------------


def _tell_once(secrets: Mapping[str, str]) -> None:
    for name, value in secrets.items():
        typer.echo(f"{name + ':':22}{value}")
    typer.echo("It is shown only now; nobody can look it up later.")


def _show(rows: Sequence[Row], as_json: bool = False, none: str = "") -> None:
    if as_json:
        typer.echo(json.dumps(rows, default=lambda instant: instant.isoformat(), indent=2))
        return
    if not rows:
        typer.echo(none)
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in row.values()))
    console().print(table)


def _text(value: Any, between: str = "\n") -> str:
    """As a person reads it. Some of it was written by strangers, who may not move the terminal's cursor."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return between.join(_text(each) for each in value)
    return "".join(each if each.isprintable() else "?" for each in str(value))
