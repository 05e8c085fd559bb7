"""The rules that names have to follow, checked before anything is written. Pure; every check returns its argument.

A refusal offers another name only for something new: for what exists another name is another thing.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from astro_xcom.errors import SettingError
from astro_xcom.rules.limits import AIRFLOW_CONNECTION_ID, OBJECT_KEY

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def suggestion(rule: Callable[[str], str], value: str, candidate: str, example: str | None = None) -> str | None:
    """What to try for a refused value: the candidate if the rule accepts it, else the example."""
    if candidate != value:
        try:
            return f'"{rule(candidate)}"'
        except SettingError:
            pass
    return None if example is None else f'"{example}"'


def slug(value: str, *, longest: int) -> str:
    """The nearest text of lower-case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:longest].strip("-")


def digest(text: str) -> str:
    """A short hash, to tell names apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def apart(joined: Iterable[tuple[str, str]]) -> list[str]:
    """Names that were joined from parts, one for each (name, whole): whoever comes second gets a hash of the whole.

    The first keeps its plain name, so that its addresses stay. Case does not tell them apart.
    """
    found: list[str] = []
    for name, whole in joined:
        taken = {each.lower() for each in found}
        found.append(f"{name}-{digest(whole)}" if name.lower() in taken else name)
    return found


def bare_bucket(value: str) -> str:
    """The bucket of a URL or of an S3 bucket's ARN; a name as it is."""
    value = re.sub(r"^arn:[a-z-]+:s3:::", "", value)
    return re.sub(r"^[A-Za-z0-9]+://([^/@]*@)?", "", value).partition("/")[0] if "://" in value else value


def dns_label(value: str, *, longest: int = 63) -> str:
    """A Kubernetes namespace, service account, or anything else that becomes a DNS label (RFC 1123)."""
    if not DNS_LABEL.fullmatch(value) or len(value) > longest:
        raise SettingError(
            f"must be 1-{longest} lower-case letters, digits or hyphens, starting and ending with a letter or digit",
            got=value,
            hint=suggestion(partial(dns_label, longest=longest), value, slug(value, longest=longest)),
        )
    return value


def deployment_name(value: str) -> str:
    """A key of `deployments`: the stack's name, and part of default names, so kept short."""
    return dns_label(value, longest=48)


def resource_name_prefix(value: str) -> str:
    """The chart's `resourceNamePrefix`. Short, because `<prefix>-worker-<name>` must stay a DNS label."""
    return dns_label(value, longest=40)


def namespace(value: str) -> str:
    """A Kubernetes namespace."""
    if not DNS_LABEL.fullmatch(value):
        raise SettingError(
            "must be 1-63 lower-case letters, digits or hyphens, starting and ending with a letter or digit", got=value
        )
    return value


def service_account_name(value: str) -> str:
    """A Kubernetes service account (RFC 1123 subdomain)."""
    if not DNS_SUBDOMAIN.fullmatch(value):
        raise SettingError(
            "must be 1-253 lower-case letters, digits, hyphens or dots, and each part between dots must start and end "
            "with a letter or digit",
            got=value,
        )
    return value


def worker_name(value: str, *, prefix: str) -> str:
    """An entry of the chart's `workers`: the objects of the worker are called `<prefix>-worker-<name>`."""
    longest = 63 - len(f"{prefix}-worker-")
    return dns_label(value, longest=longest)


def service_account(value: str) -> str:
    """A Kubernetes service account with its namespace."""
    space, slash, name = value.partition("/")
    if not slash:
        raise SettingError("must be a namespace and a service account, as namespace/name", got=value)
    return f"{namespace(space)}/{service_account_name(name)}"


def release_name(value: str) -> str:
    """A Helm release name: at most 53 characters (Helm's own limit)."""
    return dns_label(value, longest=53)


def object_path(value: str) -> str:
    """The folder inside a bucket or container that objects live under; empty means all of it.

    Plain segments only: `*` and `?` would be wildcards in an IAM policy, `@` and `:` would break the XCom URL.
    """
    longest = OBJECT_KEY.most // 2  # the rest is for the names of DAG, run, task and key
    if len(value) > longest:
        raise SettingError(f"must be {longest} characters at most: an object's name has {OBJECT_KEY.most}", got=value)
    dots = {".", ".."} & set(value.split("/"))
    if value == "" or (re.fullmatch(r"[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*", value) and not dots):
        return value
    raise SettingError(
        "must be folders joined by '/', of letters, digits and _ . = -, without a leading or closing '/', '.' or '..', "
        "without a bucket or scheme",
        got=value,
        hint=suggestion(object_path, value, re.sub(r"^[a-z0-9]+://[^/]*", "", value).strip("/"), "xcom"),
    )


def python_class(value: str) -> str:
    """A Python class with its module."""
    if not re.fullmatch(r"([A-Za-z_]\w*\.)+[A-Za-z_]\w*", value, re.ASCII):
        raise SettingError("must be a Python class with its module", got=value, hint='"my_package.my_module.MyBackend"')
    return value


def contains(outer: str, inner: str) -> bool:
    """Whether every object under `inner` is also under `outer`."""
    return outer == "" or inner == outer or inner.startswith(outer + "/")


def separate_paths(xcom_path: str, state_store_path: str | None) -> None:
    """XComs expire and state must not, so neither path may contain the other."""
    if state_store_path is not None and (
        contains(xcom_path, state_store_path) or contains(state_store_path, xcom_path)
    ):
        raise SettingError(
            f'must not contain storage.path ("{xcom_path}") or be inside it: XComs expire, state must not',
            got=state_store_path,
            hint='"state"',
        )


def former_paths(values: Sequence[str], xcom_path: str, state_store_path: str | None) -> None:
    """Folders whose objects expire as XComs do: not the current one, and nothing that must stay."""
    for value in values:
        if value == xcom_path:
            raise SettingError("is the path of today: remove it", got=value)
        if state_store_path is not None and (contains(value, state_store_path) or contains(state_store_path, value)):
            raise SettingError(
                f'must not contain state_store.path ("{state_store_path}") or be inside it: state must not expire',
                got=value,
            )


def retention_days(value: int) -> int:
    """After how many days XComs expire."""
    if not 1 <= value <= 36500:
        raise SettingError(
            "must be 1-36500 days; a task that reads a value after it expired gets its path instead, without an error, "
            "so let it outlast the longest run with its retries and re-runs",
            got=value,
            hint="30",
        )
    return value


def roles_once(roles: Sequence[tuple[str, str]]) -> None:
    """Refuse a role that is given twice on the same: (role, scope) of each. Clouds do not care for its case."""
    seen: set[tuple[str, str]] = set()
    for role, scope in roles:
        key = (role.lower(), scope.lower())
        if key in seen:
            raise SettingError("each role is given once on each scope", got=f"{role} on {scope}")
        seen.add(key)


def connection_id(value: str) -> str:
    """An Airflow connection id, as it can stand in front of `@` in an object-storage URL."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", value):
        raise SettingError(
            "must be letters, digits and _ . - (it is written in front of '@' in the XCom path)", got=value
        )
    if len(value) > AIRFLOW_CONNECTION_ID.most:
        raise SettingError(f"must be {AIRFLOW_CONNECTION_ID.most} characters at most: Airflow keeps no more", got=value)
    return value


def chart_version(value: str) -> str:
    """A pinned chart version this project knows the values of: 2.x and later, and not 2.2.0.

    2.2.0 fails to install unless every OpenLineage setting is written out; 1.x has another values layout.
    """
    match = re.fullmatch(r"([0-9]+)\.([0-9]+)\.([0-9]+)", value)
    if not match:
        raise SettingError("must be one exact version, such as 2.3.3", got=value, hint='"2.3.3"')
    if value == "2.2.0":
        raise SettingError("2.2.0 cannot be installed without every OpenLineage setting", got=value, hint='"2.3.3"')
    if int(match[1]) < 2:
        raise SettingError("1.x charts have another values layout and are not supported", got=value, hint='"2.3.3"')
    return value


def version_key(value: str) -> tuple[int, ...]:
    """A chart version that compares as versions do."""
    return tuple(int(part) for part in value.split("."))
