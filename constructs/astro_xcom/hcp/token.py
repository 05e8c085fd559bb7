"""The API token: where it is looked for, and how it stays out of sight."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from astro_xcom.refusal import Refused

CREDENTIALS = ".terraform.d/credentials.tfrc.json"


def find_token(hostname: str, environment: Mapping[str, str], home: Path) -> str:
    """The token for a host: TF_TOKEN_<host>, else TFE_TOKEN, else what `terraform login` saved.

    Raises Refused, without the token's text, if there is none or it cannot be one.
    """
    saved = home / CREDENTIALS
    for source, token in (
        (f"TF_TOKEN_{encoded(hostname)}", _for_host(hostname, environment)),
        ("TFE_TOKEN", environment.get("TFE_TOKEN")),
        (f"~/{CREDENTIALS}", _saved(hostname, saved)),
    ):
        if token and token.strip():
            # httpx would quote a token that does not fit into a header in its message.
            if not re.fullmatch(r"[!-~]+", token.strip()):
                raise Refused(f"{source}: is not an API token: it holds blanks or other characters that none has")
            return token.strip()
    raise Refused(
        f"there is no API token for {hostname}: set TF_TOKEN_{encoded(hostname)} or TFE_TOKEN, or run "
        f"terraform login {hostname}"
    )


def encoded(hostname: str) -> str:
    """A host's name as Terraform writes it in the name of a variable."""
    return hostname.replace("-", "__").replace(".", "_")


def _for_host(hostname: str, environment: Mapping[str, str]) -> str | None:
    """As Terraform does: `__` is a hyphen and `_` a dot, and both may stand as they are too."""
    for name, token in environment.items():
        if name.startswith("TF_TOKEN_"):
            host = name.removeprefix("TF_TOKEN_").replace("__", "-").replace("_", ".")
            if host.lower() == hostname:
                return token
    return None


def _saved(hostname: str, place: Path) -> str | None:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))["credentials"][hostname]["token"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None
