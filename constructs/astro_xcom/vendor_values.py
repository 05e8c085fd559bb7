"""Chart values that the user's files give and the settings give too, as Astronomer's page has them. Pure.

Where they are equal, ours stand in the document and theirs are left out. Where they differ, what was written before
the settings would be lost or unreadable in silence: refused, with the setting that keeps it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from astro_xcom.chart_values import Source
from astro_xcom.errors import SettingErrors, quoted
from astro_xcom.kubernetes import walk
from astro_xcom.user_values import IDENTITY_MARKS
from astro_xcom.workers import Worker, setting
from astro_xcom.xcom import STATE_STORE_VARIABLES, XCOM_VARIABLES

ANY = "\u2026"
"""Stands for what only Terraform knows."""
TOKEN = re.compile(r"\$\{[^}]*\}")
URL = re.compile(r"(?P<scheme>[a-z0-9]+)://(?:(?P<connection>[^@/]*)@)?(?P<bucket>[^@/]+)(?:/(?P<path>.*?))?/*")
ROLE = re.compile(r"arn:[^:]*:iam::[^:]*:role/(?:.*/)?(?P<name>[^/]+)")
BACKEND = "AIRFLOW__CORE__XCOM_BACKEND"
OURS = (XCOM_VARIABLES, STATE_STORE_VARIABLES)
COMPRESSIONS = ("zip", "gzip", "bz2", "lzma", "xz")
SECRETS_OF_A_CONNECTION = ("account_key", "connection_string", "sas_token", "password", "client_secret")
READABLE = "values already written stay readable"
UNREADABLE = "a value already written would be read as its path, without an error"
OTHER_IDENTITY = "pods would act as another identity, which needs access to the values already written"


def without_equal(source: Source, ours: Mapping[str, Any]) -> dict[str, Any]:
    """The user's values without what ours give equally. `ours` are chart values, with tokens for what is not known.

    Raises SettingErrors for what differs: what they have, what the settings give, what would become of values already
    written, and the setting that keeps them.
    """
    problems: list[str] = []
    variables = {entry["name"]: entry["value"] for entry in ours.get("commonEnv", ())}
    variables[BACKEND] = ours.get("xcomBackend", "")
    own_marks = _marks_by_place(ours)

    def kept(entry: Any) -> bool:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not (name in variables or name.startswith(OURS)):
            return True
        problems.extend(f"commonEnv[{name}]: {line}" for line in _variable(name, entry, variables.get(name, "")))
        return False

    for where, texts in marks(source.values):
        own = own_marks(where)
        for mark in IDENTITY_MARKS:
            if texts.get(mark) not in (None, "") and not _equal(texts[mark], own.get(mark)):
                problems.append(f"{where}.{mark}: {_mark(texts[mark], own.get(mark), of_worker(where))}")
    values: dict[str, Any] = _without_marks(source.values)
    if isinstance(values.get("commonEnv"), list):
        values["commonEnv"] = [entry for entry in values["commonEnv"] if kept(entry)]
    if problems:
        raise SettingErrors([f"{source.name}: {line}" for line in problems])
    return values


def marks(values: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping of annotations or labels, wherever it is."""
    for where, key, texts in walk(values):
        if key.lower().endswith(("annotations", "labels")) and isinstance(texts, Mapping):
            yield where, texts


def _marks_by_place(ours: Mapping[str, Any]) -> Callable[[str], Mapping[str, str]]:
    """What marks an identity at a place: those of all pods, or of the service account that it is about."""
    blocks = ours.get("serviceAccount", {})
    of_all = {
        **blocks.get("triggerer", {}).get("annotations", {}),
        **ours.get("annotations", {}),
        **ours.get("labels", {}),
    }
    own = {f"serviceAccount.{component}.": block for component, block in blocks.items()}
    own |= {f"workers[{worker['name']}].": worker["serviceAccount"] for worker in ours.get("workers", ())}

    def at(where: str) -> Mapping[str, str]:
        found = (block.get("annotations", {}) for place, block in own.items() if where.startswith(place))
        return {**of_all, **next(found, {})}

    return at


def of_worker(where: str) -> Worker:
    """The worker that a place is about."""
    found = re.match(r"workers\[([^\]]+)\]", where)
    return found[1] if found else None


def check_connection(source: Source, variable: str, account: str | None) -> None:
    """Refuse an Airflow connection to Azure in `commonEnv` that is not the one that the settings give.

    `account` is the storage account; None when it is not known. Whose identity it names is left to the settings.
    """
    entries = source.values.get("commonEnv")
    for entry in entries if isinstance(entries, list) else ():
        named = isinstance(entry, Mapping) and entry.get("name") == variable
        if named and (problem := _connection(entry.get("value"), account)):
            raise SettingErrors([f"{source.name}: commonEnv[{variable}]: {problem}"])


def _connection(value: Any, account: str | None) -> str | None:
    remove = "the settings give this connection, from storage and identity; remove it here"
    try:
        parsed = json.loads(value)
        extra = parsed.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        known = {**parsed, **extra}
    except (AttributeError, TypeError, ValueError):
        return f"is not the JSON of a connection; {remove}"
    if secrets := [key for key in SECRETS_OF_A_CONNECTION if known.get(key)]:
        return f"has {', '.join(secrets)}: here the pods' own identity is used, without a secret; remove it here"
    if known.get("tenant_id"):
        return f"has tenant_id, with which Airflow signs in as an application; {remove}"
    theirs = known.get("account_name") or known.get("login")
    if account and theirs and theirs != account:
        return _differs(theirs, account, UNREADABLE, f"set storage.account: {theirs}")
    return None


def _variable(name: str, entry: Mapping[str, Any], ours: str) -> Iterator[str]:
    theirs = entry.get("value")
    if not isinstance(theirs, str):
        yield "is set from storage and xcom in the settings; remove it here"
    elif name == BACKEND:
        if theirs not in ("", ours):
            yield _differs(theirs, ours, READABLE, f"set xcom.backend: {theirs}")
    elif name.endswith("OBJECTSTORAGE_PATH"):
        if theirs.rstrip("/") != ours.rstrip("/"):
            yield _path(theirs, ours, "state_store" if name.startswith(STATE_STORE_VARIABLES) else "storage")
    elif name.startswith((XCOM_VARIABLES, STATE_STORE_VARIABLES)):
        section = "state_store" if name.startswith(STATE_STORE_VARIABLES) else "xcom"
        if not _same_number_or_text(theirs, ours):
            advise = SMALL.get(name.rpartition("_")[2])
            yield _differs(theirs, ours, READABLE, advise(section, theirs) if advise else REMOVE)
    elif not _equal(theirs, ours):
        yield _differs(theirs, ours, READABLE, REMOVE)


REMOVE = "remove it here"


def _threshold(section: str, theirs: str) -> str:
    return f"set {section}.threshold: {int(theirs)}" if re.fullmatch("[0-9]{1,9}", theirs, re.ASCII) else REMOVE


def _compression(section: str, theirs: str) -> str:
    if theirs in COMPRESSIONS:
        return f"set {section}.compression: {theirs}"
    if theirs.lower() in ("", "none"):
        airflow = "" if theirs == "" else " and remove it here: Airflow takes it for an algorithm and fails every write"
        return f"set {section}.compression: none{airflow}"
    return "remove it here: Airflow knows no such compression"


SMALL: dict[str, Callable[[str, str], str]] = {"THRESHOLD": _threshold, "COMPRESSION": _compression}


def _path(theirs: str, ours: str, section: str) -> str:
    there, here = URL.fullmatch(theirs), URL.fullmatch(_known(ours))
    lost = UNREADABLE if section == "storage" else "tasks would not find what they kept"
    if there is not None and not ours:
        return _differs(theirs, ours, lost, f"set {section}.path: {json.dumps(there['path'] or '')}")
    if there is None or here is None or there["scheme"] != here["scheme"]:
        return _differs(theirs, ours, lost, REMOVE)
    found = []
    if there["connection"] != here["connection"]:
        if there["connection"]:
            found.append(f"set xcom.connection_id: {there['connection']}")
        elif here["scheme"] == "abfs":
            found.append("on Azure a connection is needed: run tasks that wrote values again")
        else:
            found.append("remove xcom.connection_id")
    if not _equal(there["bucket"], here["bucket"]):
        found.append(f"set storage.{'container' if here['scheme'] == 'abfs' else 'bucket'}: {there['bucket']}")
    if (there["path"] or "") != (here["path"] or ""):
        found.append(f"set {section}.path: {json.dumps(there['path'] or '')}")
    return _differs(theirs, ours, lost, ", ".join(found) or REMOVE)


def _mark(theirs: Any, ours: Any, worker: Worker) -> str:
    if ours is None:
        return "is no mark of this cloud's identities; remove it here"
    place = setting(worker)
    if role := ROLE.fullmatch(theirs) if isinstance(theirs, str) else None:
        advice = f"set {place}.existing_role: {theirs} to use it as it is, or {place}.role_name: {role['name']}"
    elif isinstance(theirs, str) and theirs.endswith(".gserviceaccount.com"):
        advice = f"set {place}.existing_service_account: {theirs}"
    else:
        advice = REMOVE
    return _differs(theirs, ours, OTHER_IDENTITY, advice)


def _differs(theirs: Any, ours: str, lost: str, advice: str) -> str:
    given = quoted(_known(ours)) if ours else "none"
    return f"you have {quoted(theirs)}, the settings give {given}: {lost}; {advice}"


def _known(text: str) -> str:
    return TOKEN.sub(ANY, text)


def _equal(theirs: Any, ours: Any) -> bool:
    if not isinstance(theirs, str) or not isinstance(ours, str):
        return False
    return re.fullmatch(re.escape(_known(ours)).replace(ANY, ".+"), theirs) is not None


def _same_number_or_text(theirs: str, ours: str) -> bool:
    if re.fullmatch("[0-9]{1,9}", theirs, re.ASCII) and re.fullmatch("[0-9]{1,9}", ours, re.ASCII):
        return int(theirs) == int(ours)
    return theirs == ours


def _without_marks(value: Any) -> Any:
    """Maps of annotations and labels without what marks an identity."""
    if isinstance(value, Mapping):
        kept = {key: _without_marks(item) for key, item in value.items() if key not in IDENTITY_MARKS}
        return {
            key: item
            for key, item in kept.items()
            if not (key.lower().endswith(("annotations", "labels")) and item == {} and value[key])
        }
    return [_without_marks(item) for item in value] if isinstance(value, list) else value
