"""The rules of Azure names, checked before anything is written. Pure; every check returns its argument."""

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from astro_xcom.errors import SettingError
from astro_xcom.rules import limits
from astro_xcom.rules.common import digest, slug, suggestion

REPLICATIONS = ("LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS")
LONGEST_ACCOUNT = 24
LONGEST_CREDENTIAL = 120
MOST_CREDENTIALS = limits.AZURE_CREDENTIALS.most
RESERVED_TAGS = ("azure", "microsoft", "windows")
DEFAULT_CONNECTION_ID = "wasb_xcom"

GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
RESOURCE_GROUP = r"[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]"
ACCOUNT = r"[a-z0-9]{3,24}"
CREDENTIAL = r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}"
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
VAULT = r"(?=[A-Za-z0-9-]{3,24}(?:/|\.|\Z))[A-Za-z]([A-Za-z0-9]|-(?!-))*[A-Za-z0-9]"
EXAMPLE = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/data"
PRIVATE = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "224.0.0.0/3",
    )
]  # fmt: skip
"""Nobody comes from these over the internet."""


def guid(value: str) -> str:
    """A subscription, tenant or client id."""
    if not re.fullmatch(GUID, value):
        raise SettingError("must be a GUID", got=value, hint='"00000000-0000-0000-0000-000000000000"')
    return value


def location(value: str) -> str:
    """An Azure region by its code."""
    if not re.fullmatch(r"[a-z][a-z0-9]{2,}", value):
        code = re.sub(r"[^a-z0-9]", "", value.lower())
        raise SettingError("must be an Azure region's code", got=value, hint=suggestion(location, value, code))
    return value


def resource_group(value: str) -> str:
    """A resource group's name."""
    if not re.fullmatch(RESOURCE_GROUP, value):
        plain = re.sub(r"[^A-Za-z0-9_().-]+", "-", value)[:90].rstrip(".").strip("-")
        raise SettingError(
            "must be 1-90 letters, digits or _ ( ) - . and not end with a dot",
            got=value,
            hint=suggestion(resource_group, value, plain, "astro-xcom"),
        )
    return value


# Without a hint: another name is another thing.


def existing_resource_group(value: str) -> str:
    """The name of an existing resource group."""
    return _existing(resource_group, value)


def existing_storage_account(value: str) -> str:
    """The name of an existing storage account."""
    return _existing(storage_account, value)


def existing_container(value: str) -> str:
    """The name of an existing blob container."""
    return _existing(container, value)


def existing_identity(value: str) -> str:
    """The name of an existing user-assigned identity."""
    return _existing(identity, value)


def _existing(rule: Callable[[str], str], value: str) -> str:
    try:
        return rule(value)
    except SettingError as error:
        raise SettingError(error.rule, got=error.got) from None


def storage_account(value: str) -> str:
    """A storage account's name, which is unique in the world."""
    if not re.fullmatch(ACCOUNT, value):
        plain = re.sub(r"[^a-z0-9]", "", value.lower())
        raise SettingError(
            "must be 3-24 lower-case letters and digits",
            got=value,
            hint=suggestion(storage_account, value, plain, derived_storage_account(value)),
        )
    return value


def derived_storage_account(name: str) -> str:
    """A storage account's name made from any text: its first letters and digits, and a hash of all of it.

    The same text gives the same name everywhere. Add what is your own, such as the subscription, to the text: nobody
    else in the world can then have the name.
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return (plain or "xcom")[: LONGEST_ACCOUNT - 8] + digest(name)


def replication(value: str) -> str:
    """How an account keeps copies."""
    if value not in REPLICATIONS:
        kind = re.sub(r"[^A-Z]", "", value.upper().removeprefix("STANDARD_"))
        raise SettingError(
            f"must be one of {', '.join(REPLICATIONS)}", got=value, hint=kind if kind in REPLICATIONS else "LRS"
        )
    return value


def container(value: str) -> str:
    """A blob container's name."""
    if not re.fullmatch(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*", value):
        raise SettingError(
            "must be 3-63 lower-case letters, digits or single hyphens, starting and ending with a letter or digit",
            got=value,
            hint=suggestion(container, value, slug(value, longest=63), "xcom"),
        )
    return value


def connection_id(value: str) -> str:
    """An Airflow connection id that a variable can define: Airflow reads the variable's tail in lower case."""
    if not re.fullmatch(r"[a-z0-9_]+", value):
        plain = re.sub(r"[^a-z0-9_]+", "_", value.lower()).strip("_")
        raise SettingError(
            "must be lower-case letters, digits and _ (the connection is the environment variable AIRFLOW_CONN_ and "
            "the id in upper case)",
            got=value,
            hint=suggestion(connection_id, value, plain, DEFAULT_CONNECTION_ID),
        )
    return value


def connection_variable(connection_id: str) -> str:
    """The environment variable that defines an Airflow connection."""
    return f"AIRFLOW_CONN_{connection_id.upper()}"


# ---- identity


def identity(value: str) -> str:
    """A user-assigned identity's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}", value):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", value).lstrip("-_")[:128].rstrip("-")
        raise SettingError(
            "must be 3-128 letters, digits, hyphens or underscores, starting with a letter or digit",
            got=value,
            hint=suggestion(identity, value, plain, "astro-xcom"),
        )
    return value


def federated_credential(value: str) -> str:
    """A federated credential's name, which cannot be changed."""
    if not re.fullmatch(CREDENTIAL, value):
        raise SettingError(
            "must be 3-120 letters, digits, hyphens or underscores, starting with a letter or digit", got=value
        )
    return value


def federated_credential_name(cluster: str, namespace: str, account: str) -> str:
    """The credential's name of one service account of one cluster: all three, or cut and with a hash of them.

    No two service accounts share a name: `_` is in no Kubernetes name, and the hash is that of the whole.
    """
    name = f"{cluster}_{namespace}_{account}"
    if not re.fullmatch(CREDENTIAL, name):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).lstrip("-_")
        name = f"{plain[: LONGEST_CREDENTIAL - 9]}-{digest(name)}"
    return federated_credential(name)


def credential_count(accounts: int, clusters: int) -> int:
    """How many federated credentials one identity needs."""
    if accounts * clusters > MOST_CREDENTIALS:
        raise SettingError(
            f"an identity holds at most {MOST_CREDENTIALS} federated credentials, one for each service account of each "
            "cluster",
            got=f"{accounts} service accounts of {clusters} clusters",
            hint="workers that share a service account (serviceAccount: {create: false, name: ...}), "
            "identity.workers, an identity of its own for some of them, or another deployment",
        )
    return accounts * clusters


def subject(value: str) -> str:
    """The `sub` of one service account's tokens. Azure takes any text, and then refuses every token."""
    if not re.fullmatch(rf"system:serviceaccount:{LABEL}:(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*", value):
        raise SettingError(
            "must be the subject of one Kubernetes service account, without wildcards",
            got=value,
            hint='"system:serviceaccount:astro:prod-worker-default-worker"',
        )
    return value


def issuer(value: str) -> str:
    """An OIDC issuer's URL, kept to the letter: Azure compares it with the `iss` of tokens, last slash included."""
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?", value):
        raise SettingError(
            "must be the https:// URL of an OIDC issuer, to the letter (AKS's end with '/')",
            got=value,
            hint='"https://westeurope.oic.prod-aks.azure.com/<tenant id>/<cluster id>/"',
        )
    return value


def issuer_key(issuer: str) -> str:
    """A short stable name of an issuer: the cluster's id in AKS's, else host and path."""
    last = issuer.rstrip("/").rpartition("/")[2]
    if re.fullmatch(GUID, last):
        return last
    return re.sub(r"[^A-Za-z0-9]+", "-", issuer.removeprefix("https://")).strip("-")


def audience(value: str) -> str:
    """The `aud` of the tokens that pods exchange."""
    if not re.fullmatch(r"[!-~]{1,600}", value):
        raise SettingError("must be 1-600 characters without blanks", got=value, hint='"api://AzureADTokenExchange"')
    return value


def aks_cluster(value: str) -> str:
    """The name of an AKS cluster."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", value):
        raise SettingError(
            "must be an AKS cluster's name: 1-63 letters, digits, hyphens or underscores, starting and ending with a "
            "letter or digit",
            got=value,
        )
    return value


# ---- tags


def tags(values: Mapping[str, str]) -> Mapping[str, str]:
    """Tags of a resource group, an account, an identity. Their keys fold case."""
    if len(values) > limits.AZURE_TAGS.most:
        raise SettingError(f"must be at most {limits.AZURE_TAGS.most} tags", got=len(values))
    for key, value in values.items():
        if not 1 <= len(key) <= 128 or set(key) & set("<>%&\\?/") or len(value) > 256:
            raise SettingError(
                "a tag's key is 1-128 characters without < > % & \\ ? /, its value at most 256", got={key: value}
            )
        if key.lower().startswith(RESERVED_TAGS):
            raise SettingError(f"Azure keeps keys for itself that start with {', '.join(RESERVED_TAGS)}", got=key)
    if len({key.lower() for key in values}) < len(values):
        raise SettingError("must differ by more than upper and lower case", got=list(values))
    return values


# ---- network


def ip_rule(value: str) -> str:
    """A public IPv4 address or range, as a storage account's firewall takes it."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?", value):
        raise SettingError("must be an IPv4 address or range", got=value, hint='"198.51.100.0/24"')
    try:
        network = ipaddress.IPv4Network(value, strict=False)
    except ValueError:
        raise SettingError("must be an IPv4 address or range", got=value, hint='"198.51.100.0/24"') from None
    if network.prefixlen == 0:
        raise SettingError("would let every address in: for that leave storage.network out", got=value)
    if any(network.subnet_of(private) for private in PRIVATE):
        raise SettingError(
            "must be public: the firewall never sees private addresses; use subnets for those", got=value
        )
    if "/" in value and network.prefixlen > 30:
        addresses = [f'"{address}"' for address in network]
        raise SettingError("must not be a range of one or two addresses", got=value, hint=" and ".join(addresses))
    if "/" in value and str(network) != value:
        raise SettingError("must be a range by its first address", got=value, hint=f'"{network}"')
    return value


def ip_rules(values: Collection[str]) -> None:
    """How many ranges the firewall of an account takes."""
    if len(values) > limits.AZURE_IP_RULES.most:
        raise SettingError(f"an account takes {limits.AZURE_IP_RULES.most} ranges at most", got=len(values))


# ---- resource ids


def _resource_id(value: str, pattern: str, what: str, example: str) -> str:
    if not re.fullmatch(rf"/subscriptions/{GUID}/resourceGroups/{RESOURCE_GROUP}/providers/{pattern}", value):
        raise SettingError(f"must be the resource id of {what}", got=value, hint=f'"{EXAMPLE}/providers/{example}"')
    return value


def storage_account_id(value: str) -> str:
    """The resource id of a storage account."""
    return _resource_id(
        value,
        rf"Microsoft\.Storage/storageAccounts/{ACCOUNT}",
        "a storage account",
        "Microsoft.Storage/storageAccounts/acmexcom",
    )


def subnet_id(value: str) -> str:
    """The resource id of a subnet."""
    name = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?"
    return _resource_id(
        value,
        rf"Microsoft\.Network/virtualNetworks/{name}/subnets/{name}",
        "a subnet",
        "Microsoft.Network/virtualNetworks/data/subnets/agents",
    )


def blob_private_dns_zone_id(value: str) -> str:
    """The resource id of the private DNS zone in which private endpoints of blob storage are found."""
    zone = r"privatelink\.blob\.core\.(windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)"
    return _resource_id(
        value,
        rf"Microsoft\.Network/privateDnsZones/{zone}",
        "a private DNS zone for blob storage",
        "Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net",
    )


def key_vault_id(value: str) -> str:
    """The resource id of a key vault."""
    return _resource_id(
        value, rf"Microsoft\.KeyVault/vaults/{VAULT}", "a key vault", "Microsoft.KeyVault/vaults/acme-keys"
    )


def key_id(value: str) -> str:
    """The URL of a key in a key vault, without a version: the account then follows the key's rotation."""
    pattern = (
        rf"https://{VAULT}\.(vault\.azure\.net|vault\.usgovcloudapi\.net|vault\.azure\.cn)/keys/[A-Za-z0-9-]{{1,127}}"
    )
    if not re.fullmatch(pattern, value):
        versioned = re.fullmatch(rf"({pattern})/[0-9a-f]+/?", value)
        raise SettingError(
            "must be the URL of a key in a key vault, without a version (the account then follows its rotation)",
            got=value,
            hint=f'"{versioned[1]}"' if versioned else '"https://acme-keys.vault.azure.net/keys/xcom"',
        )
    return value


def one_environment(facts: Mapping[str, str | None]) -> None:
    """What is given of one account is in one environment: that of the first fact that says one."""
    known = {name: environment for name, environment in facts.items() if environment is not None}
    for name, environment in known.items():
        first = next(iter(known))
        if environment != known[first]:
            raise SettingError(
                f"{name} is of Azure's environment {environment}, and {first} of {known[first]}", field=name
            )


def other_account(log_account_id: str, account: str) -> None:
    """An account to log to: not the one that is logged."""
    if log_account_id.rpartition("/")[2].lower() == account.lower():
        raise SettingError("must be another account: Azure keeps no log of an account in itself", got=log_account_id)


def key_fits_vault(key_id: str, vault_id: str) -> str:
    """A key's URL, if the key is one of the vault's."""
    vault = vault_id.rpartition("/")[2]
    host = urlsplit(key_id).hostname or ""
    if host.partition(".")[0] != vault.lower():
        raise SettingError(f"must be a key of the vault {vault}", got=key_id)
    return key_id


# ---- permissions

STORAGE_ROLE = "Storage Blob Data Contributor"
"""What agents get on container or account."""
ADMINISTRATORS = (
    "contributor",
    "owner",
    "role based access control administrator",
    "user access administrator",
)
"""Built-in roles that open everything, or let their holder open it."""


def role(value: str) -> str:
    """A role that agents may have, built-in or custom, by its name."""
    if not re.fullmatch(r"[A-Za-z0-9]([ -.0-~]{0,510}[!-.0-~])?", value):
        raise SettingError("must be a role's name, not its id", got=value, hint='"Key Vault Secrets User"')
    if value.lower() in ADMINISTRATORS:
        raise SettingError(
            "is a role of administrators: agents could open everything in its scope",
            got=value,
            hint="a role that lists what they need",
        )
    return value


def role_scope(value: str) -> str:
    """What a role is on: a subscription, a resource group, a resource or a part of one."""
    group = rf"/subscriptions/{GUID}(/resourceGroups/{RESOURCE_GROUP}(/providers/[A-Za-z0-9.]+(/[^/\s]+/[^/\s]+)+)?)?"
    if not re.fullmatch(group, value):
        raise SettingError(
            "must be the resource id of a subscription, a resource group or a resource",
            got=value,
            hint=f'"{EXAMPLE}/providers/Microsoft.KeyVault/vaults/acme-secrets"',
        )
    return value


def role_key(role: str, scope: str) -> str:
    """A role assignment's own part of an address. Azure does not tell upper from lower case."""
    text = f"{role} {scope}".lower()
    return f"{slug(role, longest=60)}-{slug(scope.rpartition('/')[2], longest=60)}-{digest(text)}"
