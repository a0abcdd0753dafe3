"""How far a run is, or how it ended, from its files alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chunkmeans.results.read.record import RunRecord
from chunkmeans.results.store.lease import BEAT, holder, lives
from chunkmeans.results.store.store import Store


@dataclass(frozen=True)
class Status:
    """What is known of a run beyond its record."""

    state: str
    """``running``, ``finished``, ``failed``, ``interrupted``; or ``killed``: by the
    record it runs, but its driver is gone."""
    pending: int
    """Inputs that have not ended yet."""
    seconds: float
    """Time of the run so far, or of the last."""
    rate: float | None
    """Inputs per second, of this run; None if none has ended yet."""
    seconds_left: float | None
    """Time left at this rate; None if there is no telling."""
    driver: str
    """The driver that runs it; empty if none does."""
    doing: Mapping[str, Any]
    """The running phase: its name and subject, how much of it is done, the latest iteration."""


def status_of(store: Store, record: RunRecord, beat: float = BEAT) -> Status:
    """Return the status of the run that `record` is of.

    Where its driver runs on another machine and may be dead, it is watched for some seconds.
    """
    driver = holder(store) if record.state == "running" else None
    if driver is not None and not lives(store, driver, beat):
        driver = None
    state = "killed" if record.state == "running" and driver is None else record.state
    doing = dict(driver.progress) if driver else {}
    seconds = float(doing.pop("seconds", record.seconds))
    ended = int(doing.pop("ended", record.ended))
    pending = max(0, record.pending - max(0, ended - record.ended))
    rate = ended / seconds if ended and seconds else None
    # how many iterations a fit of all images takes is not known before
    known = doing.get("phase") == "images"
    return Status(
        state=state,
        pending=pending,
        seconds=seconds,
        rate=rate,
        seconds_left=pending / rate if known and rate and pending else None,
        driver=str(driver or ""),
        doing=doing,
    )
