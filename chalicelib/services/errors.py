"""Errors of administration use cases, each with a one-sentence message. Nothing was changed."""


class AdministrationError(Exception):
    """The action is refused. The message gives the reason and names no command or page."""


class NotFound(AdministrationError):
    """There is no entry of this kind with this name."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"There is no {kind} {name!r}.")
        self.kind, self.name = kind, name


class NotUnique(AdministrationError):
    """Several entries fit. `chosen_by` is the kind of entry that distinguishes them."""

    def __init__(self, sentence: str, chosen_by: str) -> None:
        super().__init__(sentence)
        self.chosen_by = chosen_by


class AlreadyExists(AdministrationError):
    """The id or the name is in use."""


class InvalidValue(AdministrationError):
    """A value is invalid."""


class NotPossible(AdministrationError):
    """The action does not fit the current state, for example suspending a suspended partner."""


class ChangedMeanwhile(AdministrationError):
    """Another caller was faster, and the entry to change no longer exists."""
