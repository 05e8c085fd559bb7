"""Applied state against deployments.yaml: each difference, what it means now and what the next apply does.

No side effects, no cdktf import.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from astro_xcom.chart_values import IDENTITIES
from astro_xcom.report.model import ONLY_IF, CloudFacts, Finding
from astro_xcom.report.protection import MEANS, WATCHED, protection, rules, statements
from astro_xcom.report.terraform import UNKNOWN, Stack
from astro_xcom.secret_text import HIDDEN, is_secret, masked
from astro_xcom.user_values import IDENTITY_MARKS
from astro_xcom.workers import named
from astro_xcom.xcom import STATE_STORE_VARIABLES, XCOM_VARIABLES

Flat = Mapping[str, str]
Same = Callable[[str, str], bool]
"""(what the file says, what is applied) -> whether they are the same."""

NOT_TRUSTED = "A pod with it gets no credentials, and its values are lost. The next apply trusts it."
STILL_TRUSTED = (
    "Anybody who may start a pod with it can read, write and delete XComs. The next apply ends that, also for tasks "
    "that still run with it: their writes fail, or are lost without an error."
)
RUNNING = "The running agents use the applied value. The next apply gives them the value from the file."

MARKS = [f"{place}.{mark}" for place in ("annotations", "labels") for mark in IDENTITY_MARKS]

MOVED = (
    "Workers get identities of their own, or no longer have them: the annotation moves to each service account or "
    "back. Until the next apply the applied annotation counts; then all pods are replaced."
)
# The first that a path starts with.
CAUSES = {
    f"commonEnv[{XCOM_VARIABLES}PATH]": "Agents use the applied path. After the next apply they use the path from the "
    "file, and read values under the applied path as their paths.",
    f"commonEnv[{STATE_STORE_VARIABLES}PATH]": "Agents keep their state under the applied path. After the next "
    "apply they do not find it.",
    "commonEnv[AIRFLOW_CONN_": "Agents reach the applied account as the applied identity. If that identity is not the "
    "one with access, writes fail or are lost without an error. The next apply gives them the value from the file.",
    **dict.fromkeys(
        MARKS,
        "Pods act as a cloud identity without access to the storage, or as no identity. The next apply gives them the "
        "value from the file.",
    ),
    "namespace": "The subjects of all service accounts change with it. The next apply trusts the new subjects, and no "
    "longer the old ones.",
    "serviceAccount.": "Pods run as the applied service account, which the cloud may not trust. The next apply gives "
    "them the service account from the file.",
    "workers[": "A worker is added, removed or changed. The next apply trusts its service account, and then upgrades "
    "the agents.",
    "": RUNNING,
}


def compare(now: Stack, facts: CloudFacts, applied: Stack, applied_facts: CloudFacts) -> Iterator[Finding]:
    """The differences. Outputs alone show subjects, storage, identity and values."""
    # A whole state tells every value that stays. What it does not tell is another thing's, and will be another value.
    same = operator.eq if applied.complete else agree
    yield from _differences(
        "storage",
        facts.storage,
        applied_facts.storage,
        "Values are in the applied storage. After the next apply agents use the storage from the file, and can read "
        "none of these values. Terraform refuses to destroy storage that is protected.",
        same,
    )
    yield from _differences(
        "identity",
        _names(facts),
        _names(applied_facts),
        "Agents act as the applied identity. The next apply gives them the identity from the file, which does not have "
        "what others granted to the applied identity.",
        same,
    )
    if applied.complete:
        yield from _sets(
            "cluster",
            list(facts.clusters),
            list(applied_facts.clusters),
            same,
            missing="Pods of this cluster are not trusted, or it has no agents. The next apply changes that.",
            extra="Pods of this cluster are trusted, or its agents run. The next apply ends that.",
        )
        trust, applied_trust = _trust(facts), _trust(applied_facts)
    else:
        trust, applied_trust = now.subjects, applied.subjects
    yield from _sets("trust", trust, applied_trust, same, missing=NOT_TRUSTED, extra=STILL_TRUSTED)
    if applied.complete:
        yield from _of_resources(now, facts, applied, applied_facts, same)
    moved = _by_itself(now.agent_values) != _by_itself(applied.agent_values)
    for path, value, applied_value in _values(now.agent_values, applied.agent_values, "", same):
        yield Finding(
            kind="value",
            item=path,
            now=_open(path, value),
            applied=_open(path, applied_value),
            causes=_causes(path, moved=moved),
        )


def _by_itself(values: Mapping[str, Any]) -> bool:
    """Whether each service account carries its own identity's annotation."""
    return IDENTITIES in (values.get("annotations") or {})


def _causes(path: str, *, moved: bool) -> str:
    """`moved`: the annotation of the identity goes to each service account, or back to the top of the values."""
    marked = path.startswith("annotations.") or re.search(r"serviceAccount\b.*\.annotations\b", path)
    if moved and marked and (IDENTITIES in path or "serviceAccount" in path or any(mark in path for mark in MARKS)):
        return MOVED
    of_identity = next((path[path.index(mark) :] for mark in MARKS if mark in path), path)
    return next(text for front, text in CAUSES.items() if of_identity.startswith(front))


def _open(path: str, value: str | None) -> str | None:
    """A value without its secrets: applied values may hold some."""
    named = re.search(r"([^.\[\]]+)\]?(\.value)?$", path)
    return HIDDEN if value and is_secret(named[1] if named else path, value) else value


def _of_resources(
    now: Stack, facts: CloudFacts, applied: Stack, applied_facts: CloudFacts, same: Same
) -> Iterator[Finding]:
    granted, applied_grants = _permissions(facts), _permissions(applied_facts)
    for item, wide in list(_wider(granted, applied_grants, same)):
        granted.remove(item)
        applied_grants.remove(wide)
        causes = (
            "It is granted without the conditions that the file says. The next apply adds them; agents keep access."
        )
        yield Finding(kind="permission", item=None, now=item, applied=wide, causes=causes)
    yield from _sets(
        "permission",
        granted,
        applied_grants,
        same,
        missing="Actions that need it fail, and a denied write may be lost without an error. The next apply grants it.",
        extra="It is granted, but the file does not grant it. The next apply removes it: values that need it, such as "
        "values that a former key encrypts, cannot be read afterwards.",
    )
    yield from _lifecycles(now, facts, applied, applied_facts, same)
    # Of storage that this deployment no longer creates its owner decides.
    types = frozenset(now.resources) & WATCHED.keys() if facts.storage_made else frozenset()
    is_to_be, is_applied = protection(now, types), protection(applied, types)
    for kind in MEANS:
        causes = f"{MEANS[kind]} The next apply sets the value from the file."
        yield from _differences(kind, is_to_be.get(kind, {}), is_applied.get(kind, {}), causes, same)
    if facts.storage_made:
        yield from _sets(
            "privacy",
            statements(now),
            statements(applied),
            same,
            missing="The bucket's policy lacks this statement, so what it forbids is allowed. The next apply adds it.",
            extra="The bucket's policy has this statement, but the file does not. The next apply removes it.",
        )
    yield from _differences("release", now.release, applied.release, _release(now.release, applied.release), same)
    yield from _unfinished(applied)


def _lifecycles(
    now: Stack, facts: CloudFacts, applied: Stack, applied_facts: CloudFacts, same: Same
) -> Iterator[Finding]:
    """Days and paths that differ; then rules of another kind than the file's."""
    differences = list(
        _differences(
            "lifecycle",
            _lifecycle(facts),
            _lifecycle(applied_facts),
            "Values expire by the applied rules. The next apply sets the rules from the file, also for existing "
            "values: older values are deleted within days, and values that no rule covers any more never expire. "
            "Agents read a deleted value as its path.",
            same,
        )
    )
    yield from differences
    is_to_be, is_applied = rules(now), rules(applied)
    others = [text for does, texts in is_applied.items() for text in texts[len(is_to_be.get(does, ())) :]]
    for text in others if is_to_be else ():
        causes = (
            "The file does not have this rule, which may delete values, or move them to where agents cannot read "
            "them. The next apply removes it."
        )
        yield Finding(kind="lifecycle", item="rule", now=None, applied=text, causes=causes)
    missing = [text for does, texts in is_to_be.items() for text in texts[len(is_applied.get(does, ())) :]]
    for text in missing if not differences and not others else ():
        causes = "Values do not expire by this rule. The next apply creates it."
        yield Finding(kind="lifecycle", item="rule", now=text, applied=None, causes=causes)


def _unfinished(applied: Stack) -> Iterator[Finding]:
    """What Terraform could not finish: it says so of a resource, and Helm of a release."""
    for address in applied.tainted:
        causes = "Terraform could not finish creating it. The next apply deletes it and creates it again."
        yield Finding(kind="tainted", item=address, now=None, applied="tainted", causes=causes)
    status = applied.one("helm_release").get("status")
    if status not in (None, "deployed"):
        causes = (
            "The last installation or upgrade failed: pods may run with its values, or with the values before it. The "
            "next apply upgrades the release in place."
        )
        yield Finding(kind="release", item="status", now="deployed", applied=status, causes=causes)


def _release(now: Flat, applied: Flat) -> str:
    if not applied:
        return (
            "There are no agents. The next apply installs them, or upgrades an existing release of that name "
            "(upgrade_install)."
        )
    if not now:
        return (
            "The agents run. The next apply uninstalls them or, while the storage is protected, forgets them and lets "
            "them run."
        )
    if any(now[key] != applied.get(key) for key in ("name", "namespace")):
        return (
            "The agents run as the applied release. The next apply uninstalls them and then installs new agents; "
            "running tasks are lost."
        )
    return (
        "The agents run with the applied chart. The next apply upgrades the release in place; a task that outlasts the "
        "grace period of its pod is lost."
    )


def _names(facts: CloudFacts) -> Flat:
    return {
        named(key, worker): value for worker, of in facts.identities().items() for key, value in of.identity.items()
    }


def _trust(facts: CloudFacts) -> list[str]:
    return [
        named(f"{trust.subject} through {', '.join(f'{key} {value}' for key, value in trust.through.items())}", worker)
        for worker, of in facts.identities().items()
        for trust in of.trust
    ]


def _permissions(facts: CloudFacts) -> list[str]:
    return [
        named(text, worker)
        for worker, of in facts.identities().items()
        for each in of.permissions
        for action in each.allowed
        for text in ([f"{action} on {on}" for on in each.on] or [action])
    ]


def _wider(now: list[str], applied: list[str], same: Same) -> Iterator[tuple[str, str]]:
    """(now, applied) of what is granted as the file says, but for its conditions."""
    extra = [other for other in applied if not any(same(item, other) for item in now)]
    for item in now:
        if ONLY_IF in item and not any(same(item, other) for other in applied):
            wide = next((other for other in extra if same(item.partition(ONLY_IF)[0], other)), None)
            if wide is not None:
                extra.remove(wide)
                yield item, wide


def _lifecycle(facts: CloudFacts) -> Flat:
    return {key: str(value) for key, value in facts.lifecycle or () if value is not None}


def _differences(kind: str, now: Flat, applied: Flat, causes: str, same: Same) -> Iterator[Finding]:
    for key in sorted(now.keys() | applied.keys()):
        if now.get(key) is None or applied.get(key) is None or not same(now[key], applied[key]):
            yield Finding(kind=kind, item=key, now=now.get(key), applied=applied.get(key), causes=causes)


def _sets(kind: str, now: list[str], applied: list[str], same: Same, *, missing: str, extra: str) -> Iterator[Finding]:
    for item in now:
        if not any(same(item, other) for other in applied):
            yield Finding(kind=kind, item=None, now=item, applied=None, causes=missing)
    for other in applied:
        if not any(same(item, other) for item in now):
            yield Finding(kind=kind, item=None, now=None, applied=other, causes=extra)


def agree(now: str, applied: str) -> bool:
    """Whether both are equal, as far as is known now."""
    pattern = ".*".join(re.escape(part) for part in UNKNOWN.split(now))
    return re.fullmatch(pattern, applied, re.DOTALL) is not None


def _values(now: Any, applied: Any, path: str, same: Same) -> Iterator[tuple[str, str | None, str | None]]:
    """(path, now, applied) of each difference, as deep as both sides have it."""
    now, applied = _by_name(now), _by_name(applied)
    if isinstance(now, dict) and isinstance(applied, dict):
        for key in sorted(now.keys() | applied.keys()):
            where = f"{path}{key}" if key.startswith("[") or not path else f"{path}.{key}"
            if key in now and key in applied:
                yield from _values(now[key], applied[key], where, same)
            else:
                yield where, _text(now.get(key, ...)), _text(applied.get(key, ...))
    elif type(now) is not type(applied):
        yield path, json.dumps(masked(now)), json.dumps(masked(applied))
    elif not same(str(_text(now)), str(_text(applied))):
        yield path, _text(now), _text(applied)


def _by_name(value: Any) -> Any:
    """A list of named entries as a mapping; anything else as it is."""
    named = isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value)
    return {f"[{item['name']}]": item for item in value} if named and value else value


def _text(value: Any) -> str | None:
    if value is ...:
        return None
    return value if isinstance(value, str) else json.dumps(masked(value), sort_keys=True, ensure_ascii=False)
