"""`astro-xcom check` without a name: a row for each deployment, and all warnings."""

from collections.abc import Iterator, Mapping

from astro_xcom.report import Report

HEADINGS = ("deployment", "cloud", "storage", "XComs", "trusted", "values expire", "for others", "warnings")


def summary(reports: Mapping[str, Report]) -> Iterator[str]:
    """A table, then every warning with its deployment, then the way to the details."""
    rows = [HEADINGS, *(_row(name, report) for name, report in reports.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    warnings = [f"{name}: {text}" for name, report in reports.items() for text in report.warnings]
    if warnings:
        yield ""
        yield "Warnings"
        yield from (f"  - {text}" for text in warnings)
    yield ""
    yield f"To see all of one deployment: astro-xcom check {next(iter(reports))}"


def _row(name: str, report: Report) -> tuple[str, ...]:
    lifecycle = report.lifecycle
    expire = "by the owner's rules" if lifecycle is None else f"{lifecycle.expire_days} days"
    accounts = len(report.service_accounts)
    return (
        name,
        report.cloud,
        f"{'' if report.storage_made else 'existing '}{'/'.join(report.storage.values())}",
        report.xcom.path,
        f"{accounts} account{'s' if accounts != 1 else ''}",
        expire,
        str(len(report.for_others)),
        str(len(report.warnings)),
    )
