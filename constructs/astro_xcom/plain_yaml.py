"""YAML that every reader takes for the same: texts that some take for another thing are quoted."""

import re
from typing import Any

import yaml

PLAIN = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null)$)[A-Za-z][\w./-]*")


class PlainDumper(yaml.SafeDumper):
    """Texts of several lines as they are, other texts quoted unless they are plain words."""

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors: they are right, and hard to read."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    if not all(line.isprintable() for line in lines):
        style: str | None = '"'
    elif len(lines) > 1:
        style = "|"
    elif PLAIN.fullmatch(text):
        style = None
    else:
        style = "'" if '"' in text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


PlainDumper.add_representer(str, _text)
