"""One installation, assembled whole: for the local server, for commands and for tests.

On Lambda each function makes only its own part (`runtime/installation`).
"""

from chalicelib.runtime import installation
from chalicelib.runtime.imports import Imports
from chalicelib.runtime.installation import install
from chalicelib.runtime.publishing import Publishing
from chalicelib.runtime.serving import Serving


class System(Serving, Publishing, Imports):
    """All parts of one installation."""


def from_environment(*, connected: bool = False) -> System:
    """The installation that the environment describes. Raises SettingsError.

    `connected`: with its client for DynamoDB, which is otherwise made by the first call.
    """
    return installation.from_environment(System, connected=connected)


def installed() -> System:
    """The installation of this process, assembled on first use. Raises SettingsError."""
    return installation.installed(System)


__all__ = ["System", "from_environment", "install", "installed"]
