"""Measures cold starts: processor time from the start of a process to its first answer, for each function.

`python -m bench.cold_start` packages the stage `prod` for the Python that runs it, and starts each function from its
own unpacked zip as Lambda does: AWS's runtime client as the parent, in an environment with nothing but the function's
variables, each time in a fresh process. A minimal handler (a boto3 client, one GetItem, with bytecode) is started in
between, and every figure is a multiple of its processor time.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import files as files_of
from pathlib import Path
from statistics import median

import botocore

from bench.installation import Installation, Request, ask, booking, cancellation, new_uuid, quote
from chalicelib.domain.parties import Json
from chalicelib.identity.scopes import BOOKING
from chalicelib.storage.dynamodb.tables import DETAILS
from chalicelib.values import dataclass, replace
from openbooking.deployment.packaging import PYTHON, package
from openbooking.infra.templates import FUNCTIONS, environment
from openbooking.local.delivery import lambda_record
from openbooking.local.engine import ACCESS_KEY, REGION, dynamodb_client, streams_client
from openbooking.local.streams import Positions, StreamReader
from tests.support import engines
from tests.support.inventory import BASE_URL, HOST, Bookable, seller_id
from tests.support.lambda_runtime import install_client, runtime_api, start

REPEATS = 15
STAGE = "prod"

# Of what `make package` makes; the other forms show what each step of packaging saves.
PACKAGED = "as packaged"
FORMS = {
    "source": "the whole project without bytecode, with all of botocore's models",
    "bytecode": "the whole project with bytecode, with all of botocore's models",
    PACKAGED: "what the function can import, with bytecode and what is read of the models of the services that it calls",
}

# The most that each first answer should cost.
GOALS = {
    "API: C1 with a token": 1.4,
    "API: a page of an open feed": 1.2,
    "orders_stream: a cancellation": 1.2,
    "inventory_stream: a session": 1.2,
    "lease_sweep: nothing due": 1.2,
    "import_sources: nothing due": 1.2,
}

_MINIMAL = """
import boto3

client = boto3.client("dynamodb")


def handler(event, context):
    return client.get_item(**event)
"""
# What boto3 needs at run time.
_BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")

# The name of a record, and whether its row is the one of interest: a cancelled Order; the details of a new session.
_PUBLISHED: dict[str, tuple[str, Callable[[Json], bool]]] = {
    "orders": ("MODIFY", lambda keys: True),
    "inventory": (
        "INSERT",
        lambda keys: "/scheduled-sessions/" in keys["opportunity_id"]["S"] and keys["part"]["S"] == DETAILS,
    ),
}


@dataclass(frozen=True)
class Start:
    """A function: its handler, a new event for each start, and what its answer must be."""

    handler: str
    events: Iterator[Json]
    check: Callable[[Json], bool]


def cold_starts(installation: Installation, repeats: int = REPEATS) -> dict[str, dict[str, float]]:
    """Function -> form of the package -> processor time to the first answer, as a multiple of the minimal handler's.

    Ratios of medians of fresh processes, interleaved. `installation` has the tables of the stage and streams.
    """
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        client = install_client(directory / "client")
        roots = _task_roots(directory)
        minimal = _minimal(directory / "minimal")
        starts = _starts(installation, len(roots) * (repeats + 1))
        used: dict[tuple[str, str], list[float]] = {}
        for turn in range(repeats + 1):
            event = {
                "TableName": installation.tables.name("feeds"),
                "Key": {"feed_id": {"S": "-"}, "entry": {"S": "-"}},
            }
            made = {("", ""): _start("minimal.handler", event, minimal, client, installation, _is_read)}
            for name, start in starts.items():
                for form, of_functions in roots.items():
                    root = of_functions[start.handler]
                    made[name, form] = _start(
                        f"app.{start.handler}", next(start.events), root, client, installation, start.check
                    )
            if turn:  # the first turn only fills the disk cache
                for key, seconds in made.items():
                    used.setdefault(key, []).append(seconds)
    bare = median(used.pop(("", "")))
    return {name: {form: median(used[name, form]) / bare for form in roots} for name in starts}


# --- what is started ------------------------------------------------------------------------


def _task_roots(scratch: Path) -> dict[str, dict[str, Path]]:
    """Each form, and for each handler where it is unpacked."""
    made = package(STAGE, build=scratch / "build", out=scratch / "dist", python=PYTHON)
    whole = {form: scratch / form for form in FORMS if form != PACKAGED}
    with zipfile.ZipFile(made.zip) as archive:
        sources = [name for name in archive.namelist() if not name.endswith(".pyc")]
        for form, root in whole.items():
            archive.extractall(root, sources if form == "source" else None)
            models = Path(botocore.__file__).parent / "data"
            shutil.copytree(models, root / "botocore" / "data", dirs_exist_ok=True)
    roots = {form: {function.handler: root for function in FUNCTIONS} for form, root in whole.items()}
    roots[PACKAGED] = {
        function.handler: scratch / function.zip_name.removesuffix(".zip") for function in FUNCTIONS
    }
    for function in FUNCTIONS:
        with zipfile.ZipFile(made.zips[function.name]) as archive:
            archive.extractall(roots[PACKAGED][function.handler])
    return roots


def _minimal(root: Path) -> Path:
    """The minimal handler with boto3 and its bytecode."""
    for distribution in _BOTO3:
        for file in files_of(distribution) or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                target = root / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)
    (root / "minimal.py").write_text(_MINIMAL)
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(root)]
    subprocess.run(command, check=True)
    return root


def _starts(installation: Installation, count: int) -> dict[str, Start]:
    """Each function with `count` events that it has not had before."""
    session = installation.session(10 * count)
    system = installation.system()
    system.settings = replace(system.settings, authentication="openid")
    token = system.issuer.access_token(
        BASE_URL.replace("http:", "https:"), "partner-1", seller_id(1), [BOOKING]
    )
    records = _records(installation, session, count)
    is_answered: Callable[[Json], bool] = lambda answer: answer["statusCode"] == 200  # noqa: E731
    is_handled: Callable[[Json], bool] = lambda answer: answer == {"batchItemFailures": []}  # noqa: E731
    return {
        "API: C1 with a token": Start("app", _quotes(session, token), is_answered),
        "API: a page of an open feed": Start("app", _pages(), is_answered),
        "orders_stream: a cancellation": Start("orders_stream", iter(records["orders"]), is_handled),
        "inventory_stream: a session": Start("inventory_stream", iter(records["inventory"]), is_handled),
        "lease_sweep: nothing due": Start("lease_sweep", _schedule(), lambda answer: "lease" in answer),
        "import_sources: nothing due": Start(
            "import_sources", _schedule(), lambda answer: "overdue" in answer
        ),
    }


def _is_read(answer: Json) -> bool:
    return bool(answer["ResponseMetadata"]["HTTPStatusCode"] == 200)


def _quotes(session: Bookable, token: str) -> Iterator[Json]:
    while True:
        request = quote(new_uuid(), session, customer=False)
        yield _over_https(replace(request, headers={"Authorization": f"Bearer {token}"}).event())


def _pages() -> Iterator[Json]:
    event = _over_https(Request("GET", "").event())
    path = "/feeds/scheduled-sessions"
    event["requestContext"] |= {"resourcePath": "/feeds/{name}", "path": path}
    while True:
        yield event | {"path": path, "pathParameters": {"name": "scheduled-sessions"}}


def _over_https(event: Json) -> Json:
    """The event as API Gateway sends it for a domain name; ids are then below https."""
    event["requestContext"]["domainName"] = HOST
    event["body"] = event["body"] and event["body"].replace(BASE_URL, f"https://{HOST}")
    return event


def _schedule() -> Iterator[Json]:
    while True:
        yield {
            "version": "0",
            "id": new_uuid(),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": "2026-01-01T00:00:00Z",
            "region": REGION,
            "resources": [],
            "detail": {},
        }


def _records(installation: Installation, session: Bookable, count: int) -> dict[str, list[Json]]:
    """For each stream, batches of one record: an Order that was cancelled, a session that was published."""
    for _ in range(count):
        installation.session()
        (item,) = ask(booking(order := new_uuid(), session)).json["orderedItem"]
        assert ask(cancellation(order, item["@id"])).status == 204
    assert installation.url
    batches: dict[str, list[Json]] = {}
    clients = dynamodb_client(installation.url), streams_client(installation.url)
    for stream, (event, is_wanted) in _PUBLISHED.items():
        reader = StreamReader(*clients, f"{installation.prefix}-{stream}", Positions())
        found = batches.setdefault(stream, [])
        while batch := reader.read(1000):
            found += [
                {"Records": [lambda_record(record, batch.stream_arn)]}
                for record in batch.records
                if record["eventName"] == event and is_wanted(record["dynamodb"]["Keys"])
            ]
            reader.handled(batch, len(batch.records))
    for each in clients:
        each.close()
    return batches


# --- starting as Lambda does ----------------------------------------------------------------


def _start(
    handler: str,
    event: Json,
    task_root: Path,
    client: Path,
    installation: Installation,
    check: Callable[[Json], bool],
) -> float:
    """Seconds of processor time from the start of a process until its first answer, for which `check` is true."""
    with runtime_api() as api:
        process = start(handler, task_root, client, api, _environment(installation))
        try:
            answer = api.invoke(event)
        finally:
            process.kill()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    assert check(answer), answer
    return used.ru_utime + used.ru_stime


def _environment(installation: Installation) -> Mapping[str, str]:
    exports = {f"openbooking-{STAGE}-SigningKeyArn": "unused"}
    return {
        **environment(STAGE, exports),
        "TABLE_PREFIX": installation.prefix,
        "AUTHENTICATION": "openid",
        "PRODUCTION": "true",
        "DYNAMODB_URL": str(installation.url),
        "AWS_ENDPOINT_URL_DYNAMODB": str(installation.url),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_SESSION_TOKEN": ACCESS_KEY,
        "AWS_LAMBDA_FUNCTION_NAME": f"openbooking-{STAGE}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
    }


def main() -> None:
    with engines.running_engine() as url:
        installation = Installation(f"openbooking-{STAGE}", url)
        installation.create()
        found = cold_starts(installation, int(sys.argv[1]) if sys.argv[1:] else REPEATS)
        installation.close()
    print(f"Python {PYTHON[0]}.{PYTHON[1]}, on {engines.ENGINE_NAME}; the minimal handler is 1.00")
    for name, forms in found.items():
        print(
            f"{name:30}",
            f"goal {GOALS[name]:.1f}",
            *(f"{form} {ratio:.2f}" for form, ratio in forms.items()),
            sep="  ",
        )


if __name__ == "__main__":
    main()
