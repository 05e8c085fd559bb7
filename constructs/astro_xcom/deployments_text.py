"""deployments.yaml as text, so that its comments stay. Pure."""

from textwrap import indent

import yaml

from astro_xcom.errors import SettingError
from astro_xcom.yaml_files import parse

START = "# What deploys: see docs/settings.md.\n\ndeployments:\n"


def added(text: str, deployment: str, *, file: str) -> str:
    """The text with one more deployment, after the last one. Raises SettingError where only its author can add it."""
    if not text.strip():
        return START + indent(deployment, "  ")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    there = next((value for key, value in pairs if key.value == "deployments"), None)
    before = parse(text)
    lines = text.splitlines(keepends=True)
    if there is None or (isinstance(there, yaml.ScalarNode) and there.value in ("", "~", "null")):
        result = None if there is not None else f"{text.rstrip()}\n\ndeployments:\n{indent(deployment, '  ')}"
    elif isinstance(there, yaml.MappingNode) and not there.flow_style:
        column = there.start_mark.column
        end = min(
            (key.start_mark.line for key, _ in pairs if key.start_mark.line > there.start_mark.line), default=len(lines)
        )
        while end > there.start_mark.line and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
            end -= 1
        front = "".join(lines[:end])
        front += "" if front.endswith("\n") else "\n"
        result = front + "\n" + indent(deployment, " " * column) + "".join(lines[end:])
    else:
        result = None
    wanted = {**before, "deployments": {**(before.get("deployments") or {}), **parse(deployment)}}
    if result is None or parse(result) != wanted:
        raise SettingError(
            f"{file}: a deployment cannot be added to this text without changing the rest; paste it yourself"
        )
    return result
