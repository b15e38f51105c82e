"""Errors that stop a deployment and are not defects of this program: each is one line for people."""

from typing import ClassVar


class DeploymentError(Exception):
    """Stops a deployment. The message is the sentence of its class, then the details of the case."""

    sentence: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.sentence} {super().__str__()}".rstrip()
