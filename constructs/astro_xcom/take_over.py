"""A deployment for what was created by hand: chart values in, settings out. No side effects, no cdktf import."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.kubernetes import env_lists
from astro_xcom.rules import azure
from astro_xcom.vendor_values import BACKEND, COMPRESSIONS, URL, marks, of_worker
from astro_xcom.workers import Worker, named, setting
from astro_xcom.xcom import STATE_STORE_VARIABLES, XCOM_BACKEND, XCOM_VARIABLES, object_url

SCHEMES = {"aws": ("s3", "s3a", "s3n"), "azure": ("abfs", "abfss", "adl"), "gcp": ("gs", "gcs")}
"""That Airflow knows; the settings write the first."""
THINGS = ("storage", "identity", "release")
OTHER_WORDS = {
    **dict.fromkeys(("bucket", "account", "container"), "storage"),
    **dict.fromkeys(("role", "service-account", "managed-identity"), "identity"),
    **dict.fromkeys(("agents", "agent", "helm"), "release"),
}
ROLE = re.compile(r"arn:[^:]+:iam::(?P<account>[0-9]{12}):role(?P<path>/(?:.*/)?)(?P<name>[^/]+)")
EMAIL = re.compile(r"(?P<id>[^@]+)@(?P<project>[^@]+)\.iam\.gserviceaccount\.com")
ROLE_MARK = "eks.amazonaws.com/role-arn"
EMAIL_MARK = "iam.gke.io/gcp-service-account"
CLIENT_MARK = "azure.workload.identity/client-id"
DEFAULT_COMPRESSION = {"aws": "zip", "azure": "zip", "gcp": "none"}

AGENTS = {
    "agent.namespace": "Namespace of the agents",
    "agent.resource_name_prefix": "What starts the name of each of their objects, as resourceNamePrefix says",
}
ASKED = {
    "aws": {**AGENTS, "region": "Region of the bucket", "cluster.name": "Name of the EKS cluster"},
    "azure": {
        **AGENTS,
        "storage.account": "Storage account of the container",
        "subscription_id": "Subscription",
        "location": "Location of the storage account",
        "resource_group.name": "Resource group of the storage account and the identity",
        "identity.name": "Name of the managed identity",
        "cluster.name": "Name of the AKS cluster",
        "cluster.resource_group": "Resource group of the AKS cluster",
    },
    "gcp": {
        **AGENTS,
        "project": "Project of the bucket",
        "cluster.name": "Name of the GKE cluster",
        "cluster.location": "Region or zone of the GKE cluster",
    },
}
"""What no values file of a cloud says. Setting -> the question."""


@dataclass(kw_only=True)
class Proposal:
    """A deployment for agents, storage and identity that were created by hand."""

    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What to look at before the first apply."""
    asked: dict[str, str] = field(default_factory=dict)
    """What no values file says. Setting -> the question."""

    def missing(self, cloud: str, defaults: Mapping[str, Any]) -> dict[str, str]:
        """Setting -> question, for what neither the values nor the file's defaults say."""
        asked = dict(self.asked)
        if cloud == "gcp" and not self.settings.get("storage", {}).get("existing"):
            asked["storage.location"] = "Location of the bucket"
        return {path: text for path, text in asked.items() if _at(self.settings, path) is None is _at(defaults, path)}


def things(words: Collection[str]) -> set[str]:
    """What `--adopt` names. Raises SettingErrors for what is none."""
    found = {OTHER_WORDS.get(word, word) for word in words}
    rule = f"must be one of {', '.join(THINGS)}"
    problems = [f"--adopt: {SettingError(rule, got=word)}" for word in sorted(found - {*THINGS})]
    if problems:
        raise SettingErrors(problems)
    return found


def propose(
    cloud: str,
    values: Mapping[str, Any],
    given: Mapping[str, str],
    *,
    namespace: str | None,
    release: str | None,
    adopt: Collection[str],
    imports: bool,
) -> Proposal:
    """The deployment of these chart values. `given`: setting -> value, by the caller.

    What is in `adopt` stays its owner's. With `imports` the rest becomes part of the stack; without, everything but the
    release stays its owner's. Raises SettingErrors for values that keep no XComs in this cloud.
    """
    proposal = Proposal(asked=dict(ASKED[cloud]))
    if namespace and values.get("namespace") not in (None, "", namespace):
        raise SettingErrors([f"namespace is {values['namespace']}, and --namespace {namespace}: keep one of them"])
    adopt = set(adopt) if imports else {"storage", "identity", *adopt}
    said = {
        "namespace": namespace or values.get("namespace"),
        "resource_name_prefix": values.get("resourceNamePrefix"),
    }
    agent = {key: value for key, value in said.items() if value not in (None, "")}
    if release:
        agent["release_name"] = release
    if "release" in adopt:
        agent["release"] = False
        proposal.notes.append("You keep the release: install the chart with the output agent_values from now on.")
    proposal.settings = {"cloud": cloud, "agent": agent, **_xcom(cloud, values, proposal.notes)}
    _of_cloud = {"aws": _aws, "azure": _azure, "gcp": _gcp}[cloud]
    _of_cloud(proposal, values, adopt)
    for path, text in given.items():
        put(proposal.settings, path, text)
    if imports:
        _imports(proposal, cloud, adopt, by_release=release is not None)
    return proposal


def put(settings: dict[str, Any], path: str, text: str) -> None:
    """Set one setting, `true`, `false` and small numbers as what they are."""
    *parents, last = path.split(".")
    for key in parents:
        settings = settings.setdefault(key, {})
    number = int(text) if re.fullmatch("[0-9]{1,6}", text, re.ASCII) else text
    settings[last] = {"true": True, "false": False}.get(text, number)


def _at(settings: Any, path: str) -> Any:
    for key in path.split("."):
        settings = settings.get(key) if isinstance(settings, Mapping) else None
    return settings


def variables(values: Mapping[str, Any]) -> dict[str, str]:
    """The variables of `commonEnv` that have a plain value. One that is a number is the text of it."""
    entries = values.get("commonEnv")
    named = (entry for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, Mapping))
    return {str(entry.get("name")): str(entry["value"]) for entry in named if _is_plain(entry.get("value"))}


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _why_nowhere(values: Mapping[str, Any]) -> str:
    """Why no path of XComs is found."""
    variable = f"{XCOM_VARIABLES}PATH"
    if isinstance(values.get("commonEnv"), Mapping):
        return "commonEnv is a map, and the chart takes a list of name and value: is this the file of these agents?"
    below = [key for key, part in values.items() if isinstance(part, Mapping) and "commonEnv" in part]
    if below:
        return f"these are values of a chart around the agents' one: give a file of what is below {below[0]}"
    for where, entries in env_lists(values):
        if any(isinstance(entry, Mapping) and entry.get("name") == variable for entry in entries):
            if where == "commonEnv":
                rule = "has no plain value: write here what the pods have"
                return f"commonEnv[{variable}] {rule} (kubectl exec POD -- printenv {variable})"
            return f"{where}[{variable}]: a deployment has one path: put it into commonEnv, and remove it here"
    return f"commonEnv has no {variable}: these agents keep no XComs, so there is nothing to take over"


def _xcom(cloud: str, values: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    env = variables(values)
    url = _url(cloud, env, f"{XCOM_VARIABLES}PATH")
    if url is None:
        raise SettingErrors([_why_nowhere(values)])
    xcom: dict[str, Any] = {}
    if url["connection"] and not (cloud == "azure" and url["connection"] == azure.DEFAULT_CONNECTION_ID):
        xcom["connection_id"] = url["connection"]
    compression = env.get(f"{XCOM_VARIABLES}COMPRESSION", "")
    if compression and compression not in COMPRESSIONS:
        notes.append(f"COMPRESSION is {compression}, which fails every write: proposed is none.")
    meant = compression if compression in COMPRESSIONS else "none"
    if meant != DEFAULT_COMPRESSION[cloud]:
        xcom["compression"] = meant
    threshold = env.get(f"{XCOM_VARIABLES}THRESHOLD", "")
    if not re.fullmatch("[0-9]{1,9}", threshold, re.ASCII):
        notes.append("THRESHOLD keeps values in Airflow's database: proposed is 0, all values in the storage.")
    elif int(threshold):
        xcom["threshold"] = int(threshold)
    backend = values.get("xcomBackend") or env.get(BACKEND)
    if backend and backend != XCOM_BACKEND:
        xcom["backend"] = backend
    state = _url(cloud, env, f"{STATE_STORE_VARIABLES}PATH", of=url)
    bucket = "container" if cloud == "azure" else "bucket"
    return {
        "storage": {bucket: url["bucket"], "path": url["path"] or ""},
        **({"xcom": xcom} if xcom else {}),
        **({"state_store": {"path": state["path"]}} if state and state["path"] else {}),
    }


def _url(cloud: str, env: Mapping[str, str], variable: str, *, of: re.Match[str] | None = None) -> re.Match[str] | None:
    """The path in a variable, which the settings must give to the letter, in the bucket `of` another path."""
    if variable not in env:
        return None
    found = URL.fullmatch(env[variable])
    if found is None or found["scheme"] not in SCHEMES[cloud]:
        raise SettingErrors([f"{variable} is no path of {cloud}; got {json.dumps(env[variable])}"])
    if cloud == "azure" and "." in found["bucket"]:
        form = f"{found['scheme']}://CONNECTION@CONTAINER/FOLDER"
        rule = f"Airflow reads {form}, and takes {found['bucket']} for the container: nothing can have been kept there"
        raise SettingErrors([f"{variable}: {rule}"])
    place = of or found
    connection = place["connection"] or (azure.DEFAULT_CONNECTION_ID if cloud == "azure" else None)
    ours = object_url(SCHEMES[cloud][0], place["bucket"], found["path"] or "", connection_id=connection)
    if env[variable].rstrip("/") != ours:
        have = f"you have {json.dumps(env[variable])}, the settings can give {json.dumps(ours)}"
        lost = "tasks would not find what they kept" if of else "a value already written would be read as its path"
        way = "give that to today's agents, let the runs under way end, and then take over"
        raise SettingErrors([f"{variable}: {have}: {lost}; {way}"])
    return found


def _identities(values: Mapping[str, Any], mark: str) -> dict[Worker, str]:
    """What an annotation says of all agents, and of each worker of which it says something else."""
    found: dict[Worker, list[str]] = {None: []}
    for where, texts in marks(values):
        text = texts.get(mark)
        if isinstance(text, str) and text and text not in found.setdefault(of_worker(where), []):
            found[of_worker(where)].append(text)
    if problems := [
        f"{named(mark, worker)} names several identities, and there is one; got {', '.join(of)}"
        for worker, of in found.items()
        if len(of) > 1
    ]:
        raise SettingErrors(problems)
    others, every = found.pop(None), {text for of in found.values() for text in of}
    if not others and len(every) == 1 and all(found.get(worker) for worker in _workers(values)):
        return {None: every.pop()}
    own = {worker: of[0] for worker, of in found.items() if of and of != others}
    return {**({None: others[0]} if others else {}), **own}


def _workers(values: Mapping[str, Any]) -> list[str]:
    entries = values.get("workers")
    named = (
        entry.get("name") for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, Mapping)
    )
    return [name for name in named if isinstance(name, str)]


def _created(thing: str, identities: Mapping[Worker, str]) -> str:
    """That the values name no identity for all agents."""
    if workers := ", ".join(worker for worker in identities if worker):
        return f"Other agents than {workers} name no {thing}: the apply creates one for them."
    return f"No {thing} is named: the apply creates one, and agents use it from then on."


def _aws(proposal: Proposal, values: Mapping[str, Any], adopt: Collection[str]) -> None:
    settings, notes = proposal.settings, proposal.notes
    arns = _identities(values, ROLE_MARK)
    roles = {worker: ROLE.fullmatch(arn) for worker, arn in arns.items()}
    if account := next((role["account"] for role in roles.values() if role), None):
        settings["account_id"] = account
    if "storage" in adopt:
        settings["storage"]["existing"] = True
    for worker, role in roles.items():
        if "identity" in adopt:
            _put_identity(settings, worker, {"existing_role": arns[worker]})
        elif role:
            path = {} if role["path"] == "/" else {"path": role["path"]}
            _put_identity(settings, worker, {"role_name": role["name"], **path})
    if not ("identity" in adopt and None in arns) and not roles.get(None):
        notes.append(_created("role", arns))


def _put_identity(settings: dict[str, Any], worker: Worker, identity: dict[str, Any]) -> None:
    within = settings.setdefault("identity", {})
    if worker is not None:
        within = within.setdefault("workers", {}).setdefault(worker, {})
    within.update(identity)


def _azure(proposal: Proposal, values: Mapping[str, Any], adopt: Collection[str]) -> None:
    settings, notes = proposal.settings, proposal.notes
    settings["resource_group"] = {"existing": True}
    connection = settings.get("xcom", {}).get("connection_id", azure.DEFAULT_CONNECTION_ID)
    extra = _extra(variables(values).get(f"AIRFLOW_CONN_{connection.upper()}"))
    for key, place in (("account_name", "storage.account"), ("workload_identity_tenant_id", "tenant_id")):
        if isinstance(extra.get(key), str):
            put(settings, place, extra[key])
    if any(extra.get(key) for key in ("account_key", "connection_string", "sas_token")):
        notes.append("The connection has a key of the account: agents use their identity instead from now on.")
    if "storage" in adopt:
        settings["storage"]["existing"] = "container"
    clients = _identities(values, CLIENT_MARK)
    of_others = clients.pop(None, extra.get("managed_identity_client_id"))
    own = {worker: client for worker, client in clients.items() if worker and client != of_others}
    for each in (None, *own):
        _put_identity(settings, each, {"existing": True, "federate": False} if "identity" in adopt else {})
    for worker, client in own.items():
        question = f"Name of the managed identity of worker {worker}, with client id {client}"
        proposal.asked[f"{setting(worker)}.name"] = question
    if own and not of_others:
        notes.append(f"Other agents than {', '.join(own)} name no managed identity: they use identity.name.")
    if "identity" in adopt:
        notes.append(
            "The identity is not managed here: its owner must federate the service accounts that `check` lists."
        )


def _extra(text: str | None) -> dict[str, Any]:
    """What a connection says, written as JSON or as a URI."""
    try:
        if text and not text.lstrip().startswith("{"):
            uri = urlsplit(text)
            return {"account_name": unquote(uri.username or "") or None, "account_key": uri.password}
        parsed = json.loads(text or "{}")
        extra = parsed.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        return {**({"account_name": parsed["login"]} if parsed.get("login") else {}), **extra}
    except (AttributeError, TypeError, ValueError):
        return {}


def _gcp(proposal: Proposal, values: Mapping[str, Any], adopt: Collection[str]) -> None:
    settings, notes = proposal.settings, proposal.notes
    emails = _identities(values, EMAIL_MARK)
    accounts = {worker: EMAIL.fullmatch(email) for worker, email in emails.items()}
    if project := next((account["project"] for account in accounts.values() if account), None):
        settings["project"] = project
    if "storage" in adopt:
        settings["storage"]["existing"] = True
    for worker, account in accounts.items():
        if "identity" in adopt or not account or account["project"] != project:
            _put_identity(settings, worker, {"existing_service_account": emails[worker]})
        else:
            _put_identity(settings, worker, {"service_account_id": account["id"]})
    if None not in emails:
        notes.append(_created("service account", emails))


def _imports(proposal: Proposal, cloud: str, adopt: Collection[str], *, by_release: bool) -> None:
    settings, notes = proposal.settings, proposal.notes
    found: dict[str, Any] = {}
    storage, identity = settings["storage"], settings.setdefault("identity", {})
    if cloud == "aws":
        if "storage" not in adopt:
            found |= dict.fromkeys(("bucket", "versioning", "encryption", "lifecycle"), True)
            notes.append(
                "A policy of the bucket is replaced: add imports.bucket-policy: true to see it in the plan. "
                "Remove imports.lifecycle, versioning or encryption if the bucket has none."
            )
        if "identity" not in adopt and identity.get("role_name"):
            found["role"] = True
            found |= {"role-policy": True} if identity.get("policy_name") else {}
            notes.append(
                "The role's trust becomes exact. Policies that you attached to it stay: remove them afterwards."
            )
        if "identity" not in adopt:
            found |= {f"worker {worker} role": True for worker in identity.get("workers", {})}
    elif cloud == "azure":
        if "storage" not in adopt:
            found |= dict.fromkeys(("account", "container"), True)
            notes.append(
                "The account's keys are switched off: callers that use them are refused. If the account has a "
                "lifecycle policy, add imports.lifecycle: true, or it is replaced without being shown in the plan."
            )
        if "identity" not in adopt:
            workers = identity.get("workers", {})
            found["identity"] = True
            found |= {f"worker {worker} identity": True for worker in workers}
            notes.append(
                "Azure refuses a second credential of one service account, and a second assignment of one role. Import "
                "existing credentials by name, with --set identity.credential_names.NAMESPACE/ACCOUNT=CREDENTIAL "
                "(az identity federated-credential list), and the existing assignment by id, with "
                "--set imports.role-assignment=ID (az role assignment list)."
            )
            found |= {f"credential {account}": True for account in identity.get("credential_names", {})}
            found |= {
                f"worker {worker} credential {account}": True
                for worker, own in workers.items()
                for account in own.get("credential_names", {})
            }
        scope = str(settings.get("imports", {}).get("role-assignment", "")).partition("/providers/Microsoft.Authoriz")[
            0
        ]
        if re.fullmatch(r".*/storageAccounts/[^/]+", scope):
            storage["role_scope"] = "account"
    else:
        found |= {} if "storage" in adopt else {"bucket": True}
        found |= {"service-account": True} if identity.get("service_account_id") else {}
        workers = identity.get("workers", {}).items()
        found |= {f"worker {worker} service-account": True for worker, own in workers if own.get("service_account_id")}
        notes.append("Existing members are added once more, which changes nothing; other members that you added stay.")
    if by_release and "release" not in adopt:
        found["release"] = True
    settings["imports"] = {**found, **settings.get("imports", {})}
