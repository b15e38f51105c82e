"""What stops a deployment without being a defect of this program: each is one line for a person."""

from typing import ClassVar


class DeploymentError(Exception):
    """Stops a deployment. The message is the sentence of its class, then what this case is about."""

    sentence: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.sentence} {super().__str__()}".rstrip()
