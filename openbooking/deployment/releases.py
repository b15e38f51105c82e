"""What deployments from a laptop remember of a stage, in a bucket that a team shares.

The bucket holds a lock, Chalice's record of what it has deployed, and every release: the assembled project with its
zip, and what was set beside it. Nothing here calls Chalice.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.stage_state import Difference, StageState, keeping, state_from, state_to

_LOCK = "lock.json"
_RECORD = "chalice.json"
_CURRENT = "current.json"
_ATTEMPTS = "attempts.json"
# Of the assembled project, what a release is made of.
_PROJECT = ("app.py", "requirements.txt", "chalicelib", ".chalice")
# Not a part of it: Chalice's record is shared by all releases, and wheels can be downloaded again.
_NOT_KEPT = (".chalice/deployed", ".chalice/cache")


class LockedError(DeploymentError):
    sentence = "Another command is changing this stage."


class NoSuchReleaseError(DeploymentError):
    sentence = "There is no such release."


@dataclass(frozen=True)
class Release:
    """One deployment that has finished."""

    id: str
    """`0007`; a later release has a larger one."""
    commit: str
    """Of the source, or empty."""
    at: str
    by: str
    python: str
    sha256: str
    """Of the zip."""
    state: Mapping[str, Any]
    """What was set beside it: a StageState as JSON."""


@dataclass(frozen=True)
class Current:
    """The release that a stage runs, by its id, and what is set on the stage.

    `kept` names the values that others have set, and that a deployment has left: part and name.
    """

    release: str
    state: StageState
    kept: frozenset[tuple[str, str]] = frozenset()

    def keeping(self, wanted: StageState) -> StageState:
        """`wanted`, but with what was kept."""
        return keeping(
            wanted,
            [
                Difference(part, name, None, getattr(self.state, part).get(name))
                for part, name in sorted(self.kept)
            ],
        )


@dataclass(frozen=True)
class Releases:
    """The bucket of one stage. `s3` is a boto3 client."""

    s3: Any
    bucket: str

    # --- the lock ---------------------------------------------------------------------------

    @contextmanager
    def locked(self, by: str, at: str, doing: str) -> Iterator[None]:
        """Hold the lock of the stage. Raises LockedError if another command holds it."""
        holder = {"by": by, "at": at, "doing": doing}
        try:
            self.s3.put_object(
                Bucket=self.bucket, Key=_LOCK, Body=json.dumps(holder).encode(), IfNoneMatch="*"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            found = self.holder() or holder
            raise LockedError(
                f"{found['by']} began to {found['doing']} at {found['at']}. If that has ended without an end "
                "(a closed laptop), run: make unlock STAGE=..."
            ) from None
        try:
            yield
        finally:
            self.unlock()

    def holder(self) -> Mapping[str, str] | None:
        """Who holds the lock, since when, and for what."""
        found: Mapping[str, str] | None = self._read(_LOCK)
        return found

    def unlock(self) -> None:
        """Release the lock of any holder."""
        self.s3.delete_object(Bucket=self.bucket, Key=_LOCK)

    # --- Chalice's record ---------------------------------------------------------------------

    def record(self) -> dict[str, Any] | None:
        """Chalice's record of what it has deployed."""
        found: dict[str, Any] | None = self._read(_RECORD)
        return found

    def keep_record(self, record: Mapping[str, Any]) -> None:
        self._write(_RECORD, record)

    def forget(self) -> None:
        """Nothing is deployed any more; releases are kept."""
        for key in (_RECORD, _CURRENT, _ATTEMPTS):
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    # --- releases -----------------------------------------------------------------------------

    def listed(self) -> list[Release]:
        """All releases, oldest first."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="releases/")
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return [Release(**self._read(key)) for key in sorted(keys) if key.endswith(".json")]

    def current(self) -> Current | None:
        """What the stage runs; None before the first release."""
        found = self._read(_CURRENT)
        if found is None:
            return None
        kept = frozenset((part, name) for part, name in found["kept"])
        return Current(found["release"], state_from(found["state"]), kept)

    def set_current(self, current: Current) -> None:
        document = {
            "release": current.release,
            "state": state_to(current.state),
            "kept": sorted(current.kept),
        }
        self._write(_CURRENT, document)
        self.s3.delete_object(Bucket=self.bucket, Key=_ATTEMPTS)

    def begin(self, wanted: StageState) -> None:
        """Remember what a deployment is going to set, until one has finished."""
        attempts = [state_to(each) for each in self.attempts()]
        if state_to(wanted) not in attempts:
            self._write(_ATTEMPTS, [*attempts, state_to(wanted)])

    def attempts(self) -> list[StageState]:
        """What deployments that were cut off since the last release were going to set, and may have set in part."""
        return [state_from(each) for each in self._read(_ATTEMPTS) or ()]

    def next_id(self) -> str:
        existing = self.listed()
        return f"{int(existing[-1].id) + 1 if existing else 1:04}"

    def add(self, release: Release, project: Path) -> None:
        """Keep a release with its assembled project."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
            for path in sorted(each for part in _PROJECT for each in _files(project / part)):
                name = path.relative_to(project).as_posix()
                if not name.startswith(_NOT_KEPT):
                    packed.write(path, name)
        self.s3.put_object(Bucket=self.bucket, Key=f"releases/{release.id}.zip", Body=archive.getvalue())
        # The description comes last: a release without it is not complete and is not listed.
        self._write(f"releases/{release.id}.json", asdict(release))

    def before(self, release_id: str) -> Release:
        """The release before this one. Raises NoSuchReleaseError."""
        earlier = [each for each in self.listed() if each.id < release_id]
        if not earlier:
            raise NoSuchReleaseError(f"No release is older than {release_id}.")
        return earlier[-1]

    def named(self, release_id: str) -> Release:
        """Raises NoSuchReleaseError."""
        known = self.listed()
        for each in known:
            if each.id == release_id:
                return each
        names = ", ".join(each.id for each in known) or "none"
        raise NoSuchReleaseError(f"{release_id}; there are: {names}.")

    def unpack(self, release: Release, project: Path) -> None:
        """Put the assembled project of a release into the empty directory `project`."""
        body = self.s3.get_object(Bucket=self.bucket, Key=f"releases/{release.id}.zip")["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            packed.extractall(project)

    def delete_all(self) -> None:
        """Delete everything, so that the bucket can be deleted."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        for page in pages:
            for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                self.s3.delete_object(Bucket=self.bucket, Key=each["Key"], VersionId=each["VersionId"])

    def _read(self, key: str) -> Any:
        try:
            return json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise

    def _write(self, key: str, document: Any) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=json.dumps(document, indent=2).encode())


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
