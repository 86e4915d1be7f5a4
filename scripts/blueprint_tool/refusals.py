"""Why a blueprint is not carried out, where the blueprint itself is right."""

from collections.abc import Sequence


class Refused(Exception):
    """Nothing was written; `lines` has one for each reason."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Keeps the lines."""
        self.lines = list(lines)
        super().__init__("\n".join(self.lines))
