"""How storage is encrypted, closed and expired, by the arguments of its resources. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any

from astro_xcom.report.terraform import Body, Stack, block

WATCHED: dict[str, dict[str, dict[str, Any]]] = {
    "aws_s3_bucket_server_side_encryption_configuration": {
        "encryption": {"rule.apply_server_side_encryption_by_default.sse_algorithm": None},
        "key": {"rule.apply_server_side_encryption_by_default.kms_master_key_id": None},
    },
    "aws_s3_bucket_public_access_block": {
        "privacy": {
            "block_public_acls": False,
            "block_public_policy": False,
            "ignore_public_acls": False,
            "restrict_public_buckets": False,
        },
    },
    "aws_s3_bucket_ownership_controls": {"privacy": {"rule.object_ownership": None}},
    "aws_s3_bucket_versioning": {"versioning": {"versioning_configuration.status": None}},
    "azurerm_storage_account": {
        "encryption": {"infrastructure_encryption_enabled": False},
        "key": {"customer_managed_key.key_vault_key_id": None},
        "privacy": {
            "allow_nested_items_to_be_public": True,
            "https_traffic_only_enabled": True,
            "local_user_enabled": True,
            "min_tls_version": "TLS1_2",
            "shared_access_key_enabled": True,
        },
        "network": {
            "public_network_access_enabled": True,
            "network_rules.default_action": "Allow",
            "network_rules.bypass": ["AzureServices"],
            "network_rules.ip_rules": None,
            "network_rules.virtual_network_subnet_ids": None,
        },
        "versioning": {"blob_properties.versioning_enabled": False},
    },
    "azurerm_private_endpoint": {"network": {"subnet_id": None}},
    "google_storage_bucket": {
        "key": {"encryption.default_kms_key_name": None},
        "privacy": {"public_access_prevention": "inherited", "uniform_bucket_level_access": False},
        "versioning": {"versioning.enabled": False},
    },
}
"""Type -> kind of finding -> argument -> its value when it is left out (providers' documentation)."""

MEANS = {
    "encryption": "New values are encrypted by the applied setting; existing values stay as they were written.",
    "key": "New values are encrypted with the applied key, or with the cloud's key if there is none. Agents cannot "
    "read values of a key that they may not use.",
    "privacy": "The applied setting decides who reaches the storage, and how.",
    "network": "The applied setting decides which networks reach the storage: agents may be refused, or others let in.",
    "versioning": "The applied setting decides whether a deleted or overwritten value can be restored.",
}
RULES = {
    "aws_s3_bucket_lifecycle_configuration": "rule",
    "azurerm_storage_management_policy": "rule",
    "google_storage_bucket": "lifecycle_rule",
}
NO_ACTION = re.compile(r"(id|name|status|enabled|prefix|filters?|condition)(\.|$)")
"""Arguments of a rule that say when it acts, not what it does: providers fill in some of them."""


def protection(stack: Stack, types: frozenset[str]) -> dict[str, dict[str, str]]:
    """Kind of finding -> argument -> value, of the resources of these types."""
    found: dict[str, dict[str, str]] = {}
    for type_, kinds in WATCHED.items():
        for kind, arguments in kinds.items() if type_ in types else ():
            for path, default in arguments.items():
                value = _at(stack.one(type_), path)
                value = default if value in (None, "", []) else value
                if value is not None:
                    found.setdefault(kind, {})[path] = _text(value)
    return found


def statements(stack: Stack) -> list[str]:
    """The statements of the bucket's policy, each as text; AWS alone has one."""
    policy = stack.one("aws_s3_bucket_policy").get("policy")
    found = json.loads(policy).get("Statement", []) if policy else []
    return [json.dumps(_plain(each), sort_keys=True) for each in (found if isinstance(found, list) else [found])]


def _plain(statement: Body) -> Body:
    """Without its id; a list of one is its item, and lists are in an order of their own, since none means anything."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if inner}
        return (sorted(value) if len(value) != 1 else value[0]) if isinstance(value, list) else value

    found: Body = plain({key: value for key, value in statement.items() if key != "Sid"})
    return found | {"Principal": "*"} if found.get("Principal") == {"*": "*"} else found


def rules(stack: Stack) -> dict[tuple[str, ...], list[str]]:
    """The lifecycle rules that are on: what a rule does -> the text of each that does it."""
    found: dict[tuple[str, ...], list[str]] = {}
    for given in each_rule(stack):
        found.setdefault(_does(given), []).append(", ".join(f"{path} {value}" for path, value in given))
    return found


def each_rule(stack: Stack) -> Iterator[list[tuple[str, str]]]:
    """(argument, value) of what is set, for each lifecycle rule that is on."""
    for type_, argument in RULES.items():
        for rule in stack.one(type_).get(argument) or []:
            if rule.get("status") != "Disabled" and rule.get("enabled") is not False:
                yield sorted(_given(rule))


def _does(given: list[tuple[str, str]]) -> tuple[str, ...]:
    """AWS: blocks; Azure: arguments of actions; Google: the action's type and storage class."""
    actions = ((path, value) for path, value in given if not NO_ACTION.match(path))
    named = (
        f"{path} {value}" if path.startswith("action.") else path if path.startswith("actions.") else path.split(".")[0]
        for path, value in actions
    )
    return tuple(sorted(set(named)))


def _at(resource: Body, path: str) -> Any:
    value: Any = resource
    for part in path.split("."):
        value = block(value).get(part)
    return value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(sorted(map(str, value)))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _given(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of what is set. A state has every other argument too: null, empty, false, 0, or -1 on Azure."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _given(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _given(inner, path)
    elif value not in (None, "", False, 0, -1, "ANY") and ".send_" not in path:
        yield path, value if isinstance(value, str) else str(value).lower()
