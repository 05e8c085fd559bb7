"""Plain text on its way into Terraform JSON, where `${` and `%{` start a template. Pure."""

import re
from typing import Any

# What CDKTF would take for one of its own tokens is broken up; Terraform puts it together again.
MARKS = re.compile(r"[$#]\{(?=TfToken\[)|[$%]\{")


def literal(value: Any) -> Any:
    """The same value with every text in it, keys included, escaped so that Terraform reads just that text.

    For attributes and locals, not for arguments of `Fn`.
    """
    if isinstance(value, str):
        return MARKS.sub(_escaped, value)
    if isinstance(value, dict):
        return {literal(key): literal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [literal(item) for item in value]
    return value


def _escaped(match: re.Match[str]) -> str:
    if match.string.startswith("TfToken[", match.end()):
        return f'${{"{match[0][0]}"}}{{'
    return match[0][0] * 2 + "{"
