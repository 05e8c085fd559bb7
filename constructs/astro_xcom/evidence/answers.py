"""The answers to a reviewer's questions, from a stack that is planned or applied. No side effects, no cdktf import."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from astro_xcom.report import CloudFacts
from astro_xcom.report.protection import WATCHED, each_rule, protection, statements
from astro_xcom.report.terraform import Body, Stack, block
from astro_xcom.workers import named

STORAGES = {"aws": "aws_s3_bucket", "azure": "azurerm_storage_account", "gcp": "google_storage_bucket"}
TLS_ARGUMENTS = ("https_traffic_only_enabled", "min_tls_version")
TLS_CONDITIONS = ("aws:SecureTransport", "s3:TlsVersion")
PREFIXES = ("filter.prefix", "filter.and.prefix", "filters.prefix_match", "condition.matches_prefix")
EXPIRES = ("expiration.days", "actions.base_blob.delete_after_days_since_modification_greater_than")
OWNER = "The owner of the existing storage decides."


@dataclass(frozen=True)
class Answer:
    """One fact, from one side."""

    what: str
    value: str
    prose: bool = False
    told: bool = True
    """Whether a state shows it, too."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """The planned or the applied stack."""

    cloud: str
    stack: Stack
    facts: CloudFacts

    @property
    def storage(self) -> Body:
        """The bucket or account; empty for existing storage."""
        return self.stack.one(STORAGES[self.cloud])

    @property
    def protection(self) -> dict[str, dict[str, str]]:
        """Kind -> argument -> value."""
        return protection(self.stack, frozenset(self.stack.resources) & WATCHED.keys())


def _names(side: Side) -> Iterator[Answer]:
    facts, outputs = side.facts, side.stack.outputs
    yield from _rows(facts.storage)
    yield Answer("storage created by", _owner(facts.storage_made), prose=True, told=False)
    for worker, of in facts.identities().items():
        yield from _rows({named(key, worker): value for key, value in of.identity.items()})
        yield Answer(named("identity created by", worker), _owner(of.identity_made), prose=True, told=False)
    yield Answer("path of XComs", outputs["xcom_path"])
    if "state_store_path" in outputs:
        yield Answer("path of the agents' state", outputs["state_store_path"])


def _readers(side: Side) -> Iterator[Answer]:
    for worker, of in side.facts.identities().items():
        for trust in of.trust:
            through = ", ".join(f"{key} {value}" for key, value in trust.through.items())
            yield Answer(named("trusted", worker), f"{trust.subject} through {through}")
        if not of.trust:
            yield Answer(named("trusted", worker), "The owner of the existing identity decides.", prose=True)
        may = "may" if of.permissions_made else "must be granted by others"
        for permission in of.permissions:
            on = f" on {', '.join(permission.on)}" if permission.on else ""
            # A state has as an output what others must grant; no state shows that they granted it.
            yield Answer(named(may, worker), f"{', '.join(permission.allowed)}{on}", told=of.permissions_made)


def _encryption(side: Side) -> Iterator[Answer]:
    found = side.protection
    yield from _rows(found.get("encryption", {}))
    yield from _rows(found.get("key", {}))
    if "key" not in found:
        yield Answer("key", "The cloud's own key: the settings give none.", prose=True)


def _privacy(side: Side) -> Iterator[Answer]:
    for key, value in side.protection.get("privacy", {}).items():
        if key not in TLS_ARGUMENTS:
            yield Answer(key, value)
    for text in statements(side.stack):
        if not _of_tls(text):
            yield Answer("bucket policy", text)


def _tls(side: Side) -> Iterator[Answer]:
    privacy = side.protection.get("privacy", {})
    found = [Answer(key, privacy[key]) for key in TLS_ARGUMENTS if key in privacy]
    found += [Answer("bucket policy", text) for text in statements(side.stack) if _of_tls(text)]
    yield from found or [Answer("TLS", "This deployment sets nothing about it.", prose=True)]


def _of_tls(statement: str) -> bool:
    return any(condition in statement for condition in TLS_CONDITIONS)


def _network(side: Side) -> Iterator[Answer]:
    found = side.protection.get("network", {})
    yield from _rows(found)
    if not found:
        yield Answer(
            "network", "This deployment sets no rule: callers with access may come from any network.", prose=True
        )


def _versioning(side: Side) -> Iterator[Answer]:
    yield from _rows(side.protection.get("versioning", {}))
    if lifecycle := side.facts.lifecycle:
        for what, days in (
            ("days that a deleted or overwritten value is kept as a version", lifecycle.noncurrent_days),
            ("days of soft delete", lifecycle.soft_delete_days),
        ):
            if days is not None:
                yield Answer(what, str(days))


def _retention(side: Side) -> Iterator[Answer]:
    rules = [dict(_joined(rule)) for rule in each_rule(side.stack)]
    for what in ("xcom_path", "state_store_path"):
        if path := side.stack.outputs.get(what):
            folder = _folder(side, path)
            days = [_expires(rule) for rule in rules if any(map(folder.startswith, _prefixes(rule)))]
            found = min((day for day in days if day is not None), default=None)
            says = f"expire after {found} days" if found else "do not expire by any rule of this deployment"
            yield Answer(f"values under {path}", says, prose=True)
    for rule in rules:
        below = " and ".join(prefix or "everything" for prefix in _prefixes(rule))
        yield Answer(f"rule for {below}", ", ".join(f"{path} {value}" for path, value in sorted(rule.items())))


def _joined(rule: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for key in dict.fromkeys(path for path, _ in rule):
        yield key, ", ".join(value for path, value in rule if path == key)


def _folder(side: Side, url: str) -> str:
    """As the rules write prefixes."""
    folder = f"{urlsplit(url).path.strip('/')}/".lstrip("/")
    return f"{side.facts.storage['container']}/{folder}" if side.cloud == "azure" else folder


def _prefixes(rule: Mapping[str, str]) -> list[str]:
    return [prefix for key in PREFIXES if key in rule for prefix in rule[key].split(", ")] or [""]


def _expires(rule: Mapping[str, str]) -> int | None:
    """The days after which a rule deletes current values."""
    if rule.get("action.type") == "Delete" and rule.get("condition.with_state") != "ARCHIVED":
        return int(rule["condition.age"]) if "condition.age" in rule else None
    return next((int(rule[key]) for key in EXPIRES if key in rule), None)


def _residency(side: Side) -> Iterator[Answer]:
    place = {key: value for key, value in side.facts.place.items() if key != "location"}
    if side.stack.providers:  # which no state has
        yield from (Answer(key, value, told=False) for key, value in place.items())
    if "location" in side.facts.place:
        yield Answer("location" if side.storage else "location of the identity", side.facts.place["location"])
    if not side.storage:
        yield Answer("storage", OWNER, prose=True)
    elif side.cloud == "azure":
        yield Answer("account_replication_type", side.storage["account_replication_type"])
    elif regions := block(side.storage.get("custom_placement_config")).get("data_locations"):
        yield Answer("custom_placement_config.data_locations", ", ".join(sorted(regions)))
    elif side.cloud == "gcp":
        yield Answer("copies", "The location's own copies; this deployment creates no transfer.", prose=True)
    else:
        yield Answer("copies", "None in another region: this deployment creates no replication.", prose=True)


def _logs(side: Side) -> Iterator[Answer]:
    logging = side.stack.one("aws_s3_bucket_logging") or block(side.storage.get("logging"))
    found = [
        Answer(f"access logs: {key}", str(logging[key]))
        for key in ("target_bucket", "target_prefix", "log_bucket", "log_object_prefix")
        if logging.get(key)
    ]
    for setting in side.stack.all("azurerm_monitor_diagnostic_setting"):
        kinds = ", ".join(sorted(log["category"] for log in setting["enabled_log"] if log.get("category")))
        found.append(Answer("access logs", f"{kinds} to {setting.get('storage_account_id')}"))
    yield from found or [Answer("access logs", "Off: this deployment sets none.", prose=True)]


def _rows(values: Mapping[str, str]) -> Iterator[Answer]:
    yield from (Answer(key, value) for key, value in values.items())


def _owner(made: bool) -> str:
    return "This deployment." if made else "Its owner: it is an existing resource."


NAMES = "Storage and identity"
OF_STORAGE: dict[str, Callable[[Side], Iterator[Answer]]] = {
    "Encryption and key": _encryption,
    "Privacy": _privacy,
    "TLS": _tls,
    "Network": _network,
    "Versioning": _versioning,
    "Retention": _retention,
    "Audit logs": _logs,
}
"""The sections that the owner of existing storage must answer."""
QUESTIONS: dict[str, Callable[[Side], Iterator[Answer]]] = {
    NAMES: _names,
    "Who can read, and through what": _readers,
    **OF_STORAGE,
    "Residency and copies": _residency,
}


def answers(title: str, side: Side) -> list[Answer]:
    """The facts of a section."""
    if title in OF_STORAGE and not side.storage:
        return [Answer("storage", OWNER, prose=True)]
    return list(dict.fromkeys(QUESTIONS[title](side)))
