"""What of a config may be written down."""

import re
from math import isfinite
from typing import Any

HIDDEN = "<hidden>"


def for_the_record(value: Any) -> Any:
    """Return nested plain values as strict JSON without the secrets that URLs carry.

    A URL loses its user, password and query (signed URLs); a number that JSON does not have
    becomes its name.

    >>> for_the_record(["s3://me:secret@host/a.tif", float("nan"), 1.5])
    ['s3://<hidden>@host/a.tif', 'nan', 1.5]
    """
    if isinstance(value, dict):
        return {str(k): for_the_record(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [for_the_record(v) for v in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, str) and "://" in value:
        value = re.sub(r"://[^/@]*@", f"://{HIDDEN}@", value)
        return re.sub(r"^([^:]+://[^?]*)\?.*=.*$", rf"\1?{HIDDEN}", value)
    return value
