"""The API token: where it is looked for, and how it stays out of sight."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from astro_xcom.errors import SettingError
from astro_xcom.files import read_text
from astro_xcom.json_files import OTHER_SHAPE, parse_json
from astro_xcom.rules.hcp import HOSTNAME

CREDENTIALS = ".terraform.d/credentials.tfrc.json"


def find_token(hostname: str, environment: Mapping[str, str], home: Path | None, *, option: str | None = None) -> str:
    """The token for a host: TF_TOKEN_<host>, else TFE_TOKEN, else what `terraform login` saved.

    TFE_TOKEN is bound to no host, so it is used only for app.terraform.io and for a host that the caller names: by
    TFE_ADDRESS, or by `option`. A host that only a file names could be anybody's.
    Raises SettingError, without the token's text, if there is none or it cannot be one.
    """
    saved = home / CREDENTIALS if home else None
    named = hostname in (HOSTNAME, option, _address(environment))
    for source, token in (
        (f"TF_TOKEN_{encoded(hostname)}", _for_host(hostname, environment)),
        ("TFE_TOKEN", environment.get("TFE_TOKEN") if named else None),
        (f"~/{CREDENTIALS}", _saved(hostname, saved)),
    ):
        if token and token.strip():
            # httpx would quote a token that does not fit into a header in its message.
            if not re.fullmatch(r"[!-~]+", token.strip()):
                raise SettingError(f"{source}: is not an API token: it holds blanks or other characters that none has")
            return token.strip()
    if environment.get("TFE_TOKEN", "").strip() and not named:
        raise SettingError(
            f"TFE_TOKEN is not sent to {hostname}, which only the stack names: set TF_TOKEN_{encoded(hostname)}, run "
            f"terraform login {hostname}, or name the host yourself with TFE_ADDRESS=https://{hostname} or --hostname "
            f"{hostname}"
        )
    raise SettingError(
        f"there is no API token for {hostname}: set TF_TOKEN_{encoded(hostname)}"
        f"{' or TFE_TOKEN' if named else ''}, or run terraform login {hostname}"
    )


def encoded(hostname: str) -> str:
    """A host's name as Terraform writes it in the name of a variable."""
    return hostname.replace("-", "__").replace(".", "_")


def _address(environment: Mapping[str, str]) -> str | None:
    """The host of TFE_ADDRESS as settings write it; None unless it is an https URL of a host and nothing else."""
    try:
        address = urlsplit(environment.get("TFE_ADDRESS", "").strip())
        port = address.port
    except ValueError:
        return None
    if address.scheme != "https" or not address.hostname or "@" in address.netloc or address.path.strip("/"):
        return None
    return address.hostname if port in (None, 443) else f"{address.hostname}:{port}"


def _for_host(hostname: str, environment: Mapping[str, str]) -> str | None:
    """As Terraform does: `__` is a hyphen and `_` a dot, and both may stand as they are too."""
    for name, token in environment.items():
        if name.startswith("TF_TOKEN_"):
            host = name.removeprefix("TF_TOKEN_").replace("__", "-").replace("_", ".")
            if host.lower() == hostname:
                return token
    return None


def own_home() -> Path | None:
    """The user's folder; None where the system knows none, as in a container under any number."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _saved(hostname: str, place: Path | None) -> str | None:
    if place is None:
        return None
    try:
        found = parse_json(read_text(place))["credentials"][hostname]["token"]
    except OTHER_SHAPE:  # SettingError among them
        return None
    return found if isinstance(found, str) else None
