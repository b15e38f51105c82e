"""Why a use case of the administration is refused: one sentence for a person. Nothing was changed."""


class AdministrationError(Exception):
    """It cannot be done. The message says why, and names no command and no page."""


class NotFound(AdministrationError):
    """There is nothing of this kind and name."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"There is no {kind} {name!r}.")
        self.kind, self.name = kind, name


class AlreadyExists(AdministrationError):
    """The id or the name is taken."""


class InvalidValue(AdministrationError):
    """What was given cannot be taken as it is."""


class NotPossible(AdministrationError):
    """It does not fit the state that something is in, such as to suspend what is suspended."""


class ChangedMeanwhile(AdministrationError):
    """Somebody else was faster, and there is nothing left to change."""
