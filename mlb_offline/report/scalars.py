"""The smallest parts of a report's data, each with its bounds, and the limits of the whole."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_ITEMS = 30_000
"""Most items of a report, six times the benchmark: whoever verifies computes every figure again, in seconds."""
MAX_ANSWERS = 150_000
MAX_CRITERIA = 2_000_000
"""Criteria that physicians can have labelled for one report."""
"""Most answers of a report, items times repeats: as many records has its items file."""


def _moment(text: str) -> str:
    datetime.fromisoformat(text)  # ValueError where the calendar has no such day
    return text


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Instant = Annotated[
    str,
    # [0-9], not \d: pydantic's matches the digits of every script.
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,6})?Z$"),
    AfterValidator(_moment),
]
"""RFC 3339 in UTC."""
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Share = Annotated[float, Field(ge=0, le=1)]
Row = Annotated[list[Annotated[int, Field(ge=0, le=10**9)]], Field(max_length=6)]
"""Of a histogram; sums over ``MAX_ITEMS`` of such counts are exact in 64 bits."""


class Strict(BaseModel):
    """Exactly these keys, exactly these types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
