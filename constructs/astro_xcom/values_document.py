"""The chart values as a file of their own, for those who install the chart without Terraform. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

from astro_xcom.plain_yaml import PlainDumper
from astro_xcom.report.terraform import UNKNOWN

MARK = "# Written by astro-xcom values"


def document(name: str, values: dict[str, Any]) -> str:
    """YAML that Helm reads as exactly these values."""
    heading = f"{MARK} {name}. Do not edit: change the deployment, and write it again.\n"
    return heading + yaml.dump(values, Dumper=PlainDumper, sort_keys=True, allow_unicode=True, width=10**6)


def unknown(values: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, what of which thing) of each value that only Terraform knows."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from unknown(value, f"{path}.{key}" if path else key)
    elif isinstance(values, list):
        for position, value in enumerate(values):
            name = value.get("name", position) if isinstance(value, dict) else position
            yield from unknown(value, f"{path}[{name}]")
    elif isinstance(values, str):
        for found in UNKNOWN.findall(values):
            yield path, found[1:-1].partition(": ")[2] or "it"
