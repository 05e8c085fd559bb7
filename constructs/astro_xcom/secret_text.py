"""What looks like a secret: by its name, or by what it holds. Pure.

One rule for every place: chart values, URLs, and the variables that `push` sets.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

NAME = re.compile(
    r"TOKEN(?!IZER|_(ISSUER|AUDIENCE|TYPE|HEADER|LIMIT))|SECRET(?!S?_(MANAGER|PREFIX|STORE|ENGINE|MOUNT))|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS|KEYFILE_?DICT|CONNECTION_?STRING|"
    r"(ACCESS|PRIVATE|ACCOUNT|API|FERNET|SIGNING|ENCRYPTION|SHARED)_?KEY"
)
# Airflow's own options of secrets backends; how many tokens a model may use; where a secret is, or how long it lives.
NOT_SECRET = re.compile(
    r"^AIRFLOW__SECRETS__|SECRETS_BACKEND|SECRET_?BACKEND$|_TOKENS$|^GOOGLE_APPLICATION_CREDENTIALS$|"
    r"(FILE|PATH|DIR|NAME|REF|URL|URI|ARN|ENDPOINT|TTL|SECONDS|MINUTES|HOURS|DAYS|EXPIRY|LIFETIME|APIKEYSECRET)$"
)
REFERENCE = r"\$\([^()]+\)|\$\{[^{}]+\}|\{\{.*\}\}"  # filled in later: by Kubernetes, the shell, a template
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s\"'<>]+")
USER_INFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*:([^\s/?#\"'<>]*)@")
ASSIGNED = re.compile(r"(?m)(?<![\w.-])([\w.-]+)[\"']?[ \t]*[:=][ \t]*[\"']?([^\s\"'#,;]+)")
SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[oprsu]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|"
    r"\bglpat-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\bhvs\.\w{20,}|(AccountKey|SharedAccessKey|SharedAccessSignature)=\w"
)
HIDDEN = "***"


def secret_name(name: str) -> bool:
    """Whether what has this name is a secret, as far as a name tells."""
    upper = name.upper()
    return bool(NAME.search(upper)) and not NOT_SECRET.search(upper)


def is_secret(name: str, value: str) -> bool:
    """Whether a literal under this name is a secret, or holds one."""
    given = value.strip().lower() not in ("", "true", "false", HIDDEN) and not re.fullmatch(REFERENCE, value.strip())
    return (given and secret_name(name)) or holds_secret(value)


def holds_secret(text: str) -> bool:
    """Whether a text holds a secret under any name: a URL with a password, a private key, JSON with a password."""
    return bool(SHAPES.search(text)) or any(map(url_holds_secret, URL.findall(text))) or _in_json(text)


def url_holds_secret(url: str) -> bool:
    """Whether a URL has a password, or a secret in its query."""
    found = USER_INFO.search(url)
    if found and found[1] and not re.fullmatch(REFERENCE, found[1]):
        return True
    try:
        query = parse_qsl(urlsplit(url).query)
    except ValueError:
        return False
    return any(secret_name(key) and not re.fullmatch(REFERENCE, value) for key, value in query)


def assigns_secret(text: str) -> bool:
    """Whether a text such as `auth.password = "x"` or `DB_PASSWORD=x` has a literal under a secret's name."""
    return any(secret_name(name) and is_secret(name, value) for name, value in ASSIGNED.findall(text))


def masked(value: Any) -> Any:
    """The same value without its secrets, for messages."""
    if isinstance(value, Mapping):
        name = value.get("name")
        hidden = isinstance(name, str) and secret_name(name)
        return {
            key: HIDDEN
            if isinstance(item, (str, int, float)) and ((hidden and key == "value") or secret_name(str(key)))
            else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return HIDDEN if isinstance(value, str) and (holds_secret(value) or assigns_secret(value)) else value


def _in_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        return _among(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _among(value: Any) -> bool:
    if isinstance(value, dict):
        return any(
            is_secret(key, item) if isinstance(item, str) else _among(item) or (bool(item) and _is_keyfile(key))
            for key, item in value.items()
        )
    if isinstance(value, list):
        return any(map(_among, value))
    return isinstance(value, str) and holds_secret(value)


def _is_keyfile(key: str) -> bool:
    return "KEYFILE" in key.upper()
