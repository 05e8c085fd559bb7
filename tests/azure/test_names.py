"""What the checks accept fits Azure's own rule, and what they refuse comes with a name that works."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_xcom.errors import SettingError
from astro_xcom.rules import azure as rules

Check = Callable[[str], str]

GUID = "00000000-0000-0000-0000-000000000000"
GROUP = f"/subscriptions/{GUID}/resourceGroups/data"
KEY = "https://acme-keys.vault.azure.net/keys/xcom"
ARABIC_ONE = "\u0661"  # a digit to `\d`, not to Azure

PROVIDERS = "/subscriptions/[^/]{36}/resourceGroups/[^/]+/providers"

# The rule as Azure's reference has it, written down without a look at the code.
RULES: dict[Check, str] = {
    rules.guid: "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
    rules.location: "[a-z][a-z0-9]+",
    rules.resource_group: r"(?=.{1,90}\Z)[A-Za-z0-9._()-]*[A-Za-z0-9_()-]",
    rules.storage_account: "[a-z0-9]{3,24}",
    rules.replication: "LRS|ZRS|GRS|RAGRS|GZRS|RAGZRS",
    rules.container: r"(?=.{3,63}\Z)(?!.*--)[a-z0-9][a-z0-9-]*[a-z0-9]",
    rules.connection_id: "[a-z0-9_]+",
    rules.identity: "[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
    rules.federated_credential: "[a-zA-Z0-9][a-zA-Z0-9_-]{2,119}",
    rules.subject: "system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}",
    rules.issuer: r"https://[^\s{}\"\\?#]+",
    rules.audience: r"[^\s]{1,600}",
    rules.aks_cluster: r"(?=.{1,63}\Z)[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?",
    rules.ip_rule: r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(/([0-9]|[12][0-9]|30))?",
    rules.storage_account_id: rf"{PROVIDERS}/Microsoft\.Storage/storageAccounts/[a-z0-9]{{3,24}}",
    rules.subnet_id: rf"{PROVIDERS}/Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+",
    rules.key_vault_id: rf"{PROVIDERS}/Microsoft\.KeyVault/vaults/[A-Za-z][A-Za-z0-9-]{{1,22}}[A-Za-z0-9]",
    rules.key_id: r"https://[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]\.vault\.[a-z.]+/keys/[A-Za-z0-9-]{1,127}",
}

GOOD: dict[Check, list[str]] = {
    rules.guid: [GUID, "aAbBcCdD-1111-2222-3333-444455556666"],
    rules.location: ["westeurope", "eastus2", "usgovvirginia", "chinanorth3"],
    rules.resource_group: ["a", "_", "Data.Platform_(prod)-1", "a" * 90, "(x)"],
    rules.storage_account: ["abc", "123", "a" * 24],
    rules.replication: list(rules.REPLICATIONS),
    rules.container: ["xcom", "a-b-c", "123", "a" * 63],
    rules.connection_id: ["wasb_xcom", "_", "2", "a" * 100],
    rules.identity: ["abc", "Astro_XCom-1", "a" * 128, "a--"],
    rules.federated_credential: ["abc", "a" * 120, "A_-"],
    rules.subject: ["system:serviceaccount:astro:prod-worker", "system:serviceaccount:a:b.c"],
    rules.issuer: [
        "https://westeurope.oic.prod-aks.azure.com/a/b/",
        "https://oidc.example.com",
        "https://oidc.example.com:8443/a%20b",
    ],
    rules.audience: ["api://AzureADTokenExchange", "${x}", "a" * 600],
    rules.aks_cluster: ["a", "Data_prod-1", "a" * 63],
    rules.ip_rule: ["198.51.100.7", "198.51.100.0/24", "203.0.113.4/30", "172.15.0.0/16"],
    rules.storage_account_id: [f"{GROUP}/providers/Microsoft.Storage/storageAccounts/acmexcom"],
    rules.subnet_id: [f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v/subnets/agents_1"],
    rules.key_vault_id: [f"{GROUP}/providers/Microsoft.KeyVault/vaults/acme-keys"],
    rules.key_id: [KEY, "https://Acme.vault.azure.cn/keys/a-1", "https://acme.vault.usgovcloudapi.net/keys/x"],
}

REFUSED: dict[Check, list[str]] = {
    rules.guid: ["", "1", GUID + "0", GUID.replace("-", ""), f"{{{GUID}}}", GUID + "\n", ARABIC_ONE + GUID[1:]],
    rules.location: ["", "West Europe", "WESTEUROPE", "west-europe", "1eu", "eu"],
    rules.resource_group: ["", "a.", "a" * 91, "a b", "a/b", "ä", ".", "a\n"],
    rules.storage_account: ["", "ab", "a" * 25, "Acme", "acme-xcom", "acme_xcom", "ä" * 5, "abc\n", ARABIC_ONE * 3],
    rules.replication: ["", "lrs", "Standard_LRS", "RA-GZRS", "Premium"],
    rules.container: ["", "ab", "a" * 64, "Xcom", "a--b", "-ab", "ab-", "a_b", "$web", "a.b", "abc\n"],
    rules.connection_id: ["", "Wasb", "wasb-xcom", "wasb.xcom", "wasb xcom", "wasb@x", "ä", "---", "a\n"],
    rules.identity: ["", "ab", "-abc", "_abc", "a b", "a.b", "a" * 129, "ä" * 5],
    rules.federated_credential: ["", "ab", "-abc", "a" * 121, "a.b", "a:b"],
    rules.subject: [
        "", "worker", "system:serviceaccount:astro:*", "system:serviceaccount:astro", "system:serviceaccount:astro:",
        "system:serviceaccount::worker", "system:serviceaccount:astro:Worker", "system:serviceaccount:astro:a:b",
        "system:serviceaccount:astro:a_b", "system:serviceaccount:astro:a/b", "system:serviceaccount:astro:a\n",
    ],
    rules.issuer: [
        "", "oidc.example.com", "http://oidc.example.com", "https://", "https://a b", "https://a/${b}",
        "https://a/?b", "https://a/#b", 'https://a/"', "https://a/\\b", "https://a/%{b}", "https://a\n",
    ],
    rules.audience: ["", "a b", "a" * 601, "ä", "a\n"],
    rules.aks_cluster: ["", "-a", "a-", "a b", "a" * 64, "ä", "a.b"],
    rules.ip_rule: [
        "", "agents", "1.2.3", "256.1.1.1", "1.2.3.4/33", "1.2.3.4/31", "1.2.3.4/32", "198.51.100.1/24",
        "10.1.2.3", "172.16.0.0/12", "172.31.0.0/16", "192.168.1.0/24", "::1", "1.2.3.4/255.255.255.0", "1.2.3.4\n",
    ],
    rules.storage_account_id: ["", "acmexcom", f"{GROUP}/providers/Microsoft.Storage/storageAccounts/Acme"],
    rules.subnet_id: ["", "agents", f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v", f"{GROUP}/x/${{y}}"],
    rules.key_vault_id: ["", "acme-keys", f"{GROUP}/providers/Microsoft.KeyVault/vaults/a--b", f"{GROUP}/keys"],
    rules.key_id: ["", "xcom", f"{KEY}/0123456789abcdef", f"{KEY}/", KEY.replace("https", "http"), f"{KEY}${{x}}"],
}  # fmt: skip
EVERY_REFUSED = [(check, value) for check, values in REFUSED.items() for value in values]
PROPERTY = settings(max_examples=600, deadline=None, derandomize=True)


def near(check: Check) -> st.SearchStrategy[str]:
    """Texts that are good, almost good, or far away."""
    odd = st.text(alphabet="aZ09-_./:@*? ()${}é\n\u0661", max_size=6)

    def into(text: str, at: int, odd: str) -> str:
        at %= len(text) + 1
        return text[:at] + odd + text[at:]

    return st.builds(into, st.sampled_from(GOOD[check]), st.integers(0, 200), odd) | odd


TRIES = st.sampled_from(list(RULES)).flatmap(lambda check: st.tuples(st.just(check), near(check)))


def refusal(check: Check, value: str) -> SettingError | None:
    try:
        check(value)
    except SettingError as error:
        return error
    return None


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in GOOD.items() for value in values])
def test_a_good_name_comes_back_as_it_is(check: Check, value: str) -> None:
    assert check(value) == value


@pytest.mark.parametrize(("check", "value"), EVERY_REFUSED)
def test_a_bad_name_is_refused_and_what_to_try_works(check: Check, value: str) -> None:
    refused = refusal(check, value)
    assert refused is not None
    assert refused.got == value
    assert_hint_works(check, refused)


def assert_hint_works(check: Check, refused: SettingError) -> None:
    if refused.hint is not None and "<" not in refused.hint:
        for hint in refused.hint.split(" and "):
            check(json.loads(hint) if hint.startswith('"') else hint)


@PROPERTY
@given(tried=TRIES)
def test_whatever_came(tried: tuple[Check, str]) -> None:
    check, value = tried
    refused = refusal(check, value)
    if refused is None:
        assert re.fullmatch(RULES[check], value)
    else:
        assert not set("\n\r") & set(str(refused))
        assert_hint_works(check, refused)


@pytest.mark.parametrize(
    ("check", "value", "says"),
    [
        (rules.location, "West Europe", 'must be an Azure region\'s code; got "West Europe"; try "westeurope"'),
        (rules.storage_account, "Acme-XCom", 'letters and digits; got "Acme-XCom"; try "acmexcom"'),
        (rules.replication, "Standard_RAGRS", 'got "Standard_RAGRS"; try RAGRS'),
        (rules.replication, "zrs", 'got "zrs"; try ZRS'),
        (rules.container, "My_Data", 'got "My_Data"; try "my-data"'),
        (rules.connection_id, "WASB-XCom", 'got "WASB-XCom"; try "wasb_xcom"'),
        (rules.ip_rule, "198.51.100.9/24", 'by its first address; got "198.51.100.9/24"; try "198.51.100.0/24"'),
        (rules.ip_rule, "198.51.100.9/32", 'try "198.51.100.9"'),
        (rules.ip_rule, "198.51.100.9/31", 'try "198.51.100.8" and "198.51.100.9"'),
        (rules.ip_rule, "10.0.0.1", "the firewall never sees private addresses; use subnets for those"),
        (rules.key_id, f"{KEY}/0a1b", f'(the account then follows its rotation); got "{KEY}/0a1b"; try "{KEY}"'),
        (rules.issuer, "oidc.example.com", "must be the https:// URL of an OIDC issuer, to the letter"),
        (rules.subject, "system:serviceaccount:astro:*", "one Kubernetes service account, without wildcards"),
    ],
)  # fmt: skip
def test_a_refusal_says_the_rule_and_what_came(check: Check, value: str, says: str) -> None:
    with pytest.raises(SettingError, match=re.escape(says)):
        check(value)


# ---- derived names


@PROPERTY
@given(name=st.text(max_size=80))
def test_a_derived_account_is_valid_and_the_same_again(name: str) -> None:
    derived = rules.derived_storage_account(name)
    assert re.fullmatch("[a-z0-9]{3,24}", derived)
    assert rules.derived_storage_account(name) == derived


@PROPERTY
@given(one=st.text(max_size=40), other=st.text(max_size=40))
def test_two_texts_derive_two_accounts(one: str, other: str) -> None:
    assert (rules.derived_storage_account(one) == rules.derived_storage_account(other)) is (one == other)


def test_a_derived_account_is_this_one_forever() -> None:
    assert rules.derived_storage_account("azure-example-xcom of Acme") == "azureexamplexcom552514a2"
    assert rules.derived_storage_account("Ümlaut") == "mlautdfe66b05"


CLUSTERS = st.text(alphabet="aB1-_.()", min_size=1, max_size=150)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@PROPERTY
@given(cluster=CLUSTERS, namespace=LABELS, account=LABELS)
def test_a_credentials_name_is_valid(cluster: str, namespace: str, account: str) -> None:
    assert re.fullmatch(RULES[rules.federated_credential], rules.federated_credential_name(cluster, namespace, account))


ALIKE = [("a-b", "c", "d"), ("a", "b-c", "d"), ("a.b", "c", "d"), ("a", "b", "c-d"), ("a_b", "c", "d"),
         ("a" * 130, "c", "d"), ("a" * 131, "c", "d"), ("a" * 130, "c", "e")]  # fmt: skip


def test_service_accounts_that_look_alike_have_credentials_of_their_own() -> None:
    assert len({rules.federated_credential_name(*account) for account in ALIKE}) == len(ALIKE)


def test_a_credentials_name_is_this_one_forever() -> None:
    assert rules.federated_credential_name("aks-data", "astro", "worker") == "aks-data_astro_worker"
    assert rules.federated_credential_name("a.b", "astro", "worker") == "a-b_astro_worker-b4a249d8"
    assert len(rules.federated_credential_name("a" * 150, "astro", "worker")) == 120


@pytest.mark.parametrize(
    ("issuer", "key"),
    [
        (f"https://westeurope.oic.prod-aks.azure.com/{GUID[::-1]}/{GUID}/", GUID),
        ("https://oidc.example.com/a/b/", "oidc-example-com-a-b"),
        ("https://oidc.example.com", "oidc-example-com"),
    ],
)  # fmt: skip
def test_an_issuers_key(issuer: str, key: str) -> None:
    assert rules.issuer_key(issuer) == key


def test_a_connections_variable() -> None:
    assert rules.connection_variable("team_2_xcom") == "AIRFLOW_CONN_TEAM_2_XCOM"


@pytest.mark.parametrize(("accounts", "clusters"), [(21, 1), (7, 3), (1, 21)])
def test_more_than_twenty_credentials(accounts: int, clusters: int) -> None:
    with pytest.raises(SettingError, match=f"{accounts} service accounts of {clusters} clusters"):
        rules.credential_count(accounts, clusters)


@pytest.mark.parametrize(("accounts", "clusters"), [(20, 1), (10, 2), (1, 20)])
def test_twenty_credentials(accounts: int, clusters: int) -> None:
    assert rules.credential_count(accounts, clusters) == 20
