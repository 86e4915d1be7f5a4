"""Kinds of numbers that bodies and queries may hold: in the ranges that every database keeps, in one spelling.

Bodies hold JSON numbers and nothing that only looks like one; query parameters are texts in plain digits.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)
_REAL = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)


def _whole(value: object) -> object:
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError("must be a whole number in plain digits")
    return value


def _real(value: object) -> object:
    if isinstance(value, str) and not _REAL.fullmatch(value):
        raise ValueError("must be a number in plain digits")
    return value


def _without_minus_zero(value: float) -> float:
    """SQLite keeps no sign of zero."""
    return value + 0.0


Int32 = Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)]
# Behind the bounds of a number: `Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0), ONE_ZERO]`.
ONE_ZERO = AfterValidator(_without_minus_zero)
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False), ONE_ZERO]
# The same as query parameters.
Int32Filter = Annotated[int, Field(ge=-(2**31), le=2**31 - 1), BeforeValidator(_whole)]
Int64Filter = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), BeforeValidator(_whole)]
FiniteFilter = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_real)]
