"""What a volume of values comes to: requests, and bytes that are kept. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from astro_xcom.errors import SettingErrors
from astro_xcom.evidence.model import Fact, Section
from astro_xcom.report import Report
from astro_xcom.report.model import Lifecycle

DAYS = 30
"""Of a month."""
REQUESTS = {"aws": (4, 2, 5), "azure": (5, 4, 4), "gcp": (6, 3, 3)}
"""Cloud -> of a write; of a read; of a read with zip. Counted with s3fs 2026.9, adlfs 2026.8 and gcsfs 2026.10."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """How many values are written a day, how large they are, and how often each is read.

    Raises SettingErrors for numbers below 0.
    """

    values_per_day: int
    bytes_per_value: int
    reads_per_value: int = 1

    def __post_init__(self) -> None:
        names = {"--values-per-day": self.values_per_day, "--value-bytes": self.bytes_per_value,
                 "--reads": self.reads_per_value}  # fmt: skip
        problems = [f"{name}: must be 0 or more; got {number}" for name, number in names.items() if number < 0]
        if problems:
            raise SettingErrors(problems)

    def section(self, report: Report) -> Section:
        """The facts of a month, once as much expires as is written."""
        return Section(title="Volume in a month", facts=tuple(self._facts(report)))

    def _facts(self, report: Report) -> Iterator[Fact]:
        write, read, read_zip = REQUESTS[report.cloud]
        values = self.values_per_day * DAYS
        reads = read_zip if report.xcom.compression == "zip" else read

        def fact(what: str, value: str) -> Fact:
            return Fact(what=what, value=value, source="planned", prose=True)

        yield fact("values", f"{values:,} of {self.bytes_per_value:,} bytes, each read {self.reads_per_value} times")
        yield fact("requests to write", f"{values * write:,}: {write} a value")
        yield fact("requests to read", f"{values * reads * self.reads_per_value:,}: {reads} a read")
        kept = _days_kept(report.lifecycle)
        if kept is None:
            yield fact("GB-months", "The owner of the existing storage decides how long values are kept.")
            return
        gigabytes = self.values_per_day * self.bytes_per_value * kept / 1e9
        yield fact(
            "GB-months", f"{gigabytes:,.2f}: each value is kept for at most {kept} days, before compression and copies"
        )


def _days_kept(lifecycle: Lifecycle | None) -> int | None:
    """Until it expires, then as a version, then by soft delete: at most all three."""
    if lifecycle is None or lifecycle.expire_days is None:
        return None
    return lifecycle.expire_days + (lifecycle.noncurrent_days or 0) + (lifecycle.soft_delete_days or 0)
