"""How much a capability asks for."""

from enum import StrEnum


class Severity(StrEnum):
    """How much a capability asks for."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """1, 2 or 3: a severity is a text, and texts compare by their letters."""
        return list(Severity).index(self) + 1
