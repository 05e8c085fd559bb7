"""Plain text on its way into Terraform JSON, where `${` and `%{` start a template. Pure."""

import posixpath
import re
import unicodedata
from collections.abc import Callable
from typing import Any

TEMPLATE = re.compile(r"[$%](?=\{)")
TFTOKEN = "{TfToken["
BYTE_ORDER_MARK = "\ufeff"
CODE_POINT = "\ue000"  # a private character: ours wherever it stands in a document


def relative_to_stack(path: str) -> str:
    """A path of the project as Terraform needs it, which runs in the stack's own folder, three below."""
    return path if path.startswith(("/", "~", "\\\\")) or path[1:2] == ":" else posixpath.join("../../..", path)


def escape_templates(value: Any) -> Any:
    """The same value with every text in it, keys included, escaped so that Terraform reads just that text.

    For attributes and locals, not for arguments of `Fn`.
    """
    return _each_text(value, _literal)


def without_normalization(value: Any) -> tuple[Any, bool]:
    """The same value with text that Terraform would normalize (to Unicode's NFC) as code points, and whether any was.

    Undo it in an encoded document by replacing PATTERN with REPLACEMENT.
    """
    changed = False

    def code_points(text: str) -> str:
        nonlocal changed
        if unicodedata.is_normalized("NFC", text) and CODE_POINT not in text:
            return text
        changed = True
        return "".join(char if char.isascii() else f"{CODE_POINT}{ord(char):08X}" for char in text)

    return _each_text(value, code_points), changed


PATTERN = f"/{CODE_POINT}([0-9A-F]{{8}})/"
REPLACEMENT = r"\\U$1"  # an escape of YAML's quoted text; doubled because arguments of Fn are quoted once more


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _each_text(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each_text(item, change) for item in value]
    return value


def _literal(text: str) -> str:
    # Terraform drops a byte order mark in front of a template.
    front = '${""}' if text.startswith(BYTE_ORDER_MARK) else ""
    doubled = TEMPLATE.sub(lambda match: match[0] * 2, text)
    # CDKTF would take this for a token of its own: broken up here, and put together again by Terraform.
    return front + doubled.replace(TFTOKEN, f'{{${{"{TFTOKEN[1:]}"}}')
