"""Which service accounts a release has: exactly these are trusted."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_xcom.chart_values import Source, merge
from astro_xcom.errors import SettingErrors
from astro_xcom.service_accounts import ServiceAccount, named_in_values, service_accounts, subjects

Values = dict[str, Any]


def accounts_of(values: Values) -> tuple[ServiceAccount, ...]:
    return service_accounts(values, prefix="prod", namespace="astro")


def names_of(values: Values) -> list[str]:
    return [account.name for account in accounts_of(values)]


def refused(values: Values) -> list[str]:
    with pytest.raises(SettingErrors) as caught:
        accounts_of(values)
    return caught.value.lines


@pytest.mark.parametrize("values", [{}, {"serviceAccount": {}}, {"serviceAccount": None}])
def test_the_accounts_of_a_release_without_settings(values: Values) -> None:
    assert accounts_of(values) == (
        ServiceAccount(component="workers", name="prod-worker-default-worker", namespace="astro"),
        ServiceAccount(component="dagProcessor", name="prod-dag-processor", namespace="astro"),
        ServiceAccount(component="triggerer", name="prod-triggerer", namespace="astro"),
        ServiceAccount(component="sentinel", name="prod-sentinel", namespace="astro"),
    )


def test_every_worker_has_its_account() -> None:
    workers = [account for account in accounts_of({"workers": [{"name": "a"}, {"name": "b"}]}) if account.worker]
    assert [(account.worker, account.name) for account in workers] == [("a", "prod-worker-a"), ("b", "prod-worker-b")]


@pytest.mark.parametrize("workers", [[], None])
def test_a_release_without_workers_has_no_account_for_one(workers: Any) -> None:
    assert names_of({"workers": workers}) == ["prod-dag-processor", "prod-triggerer", "prod-sentinel"]


@pytest.mark.parametrize("component", ["workers", "dagProcessor", "triggerer", "sentinel"])
def test_a_name_given_for_a_component_is_used(component: str) -> None:
    (account,) = [
        account
        for account in accounts_of({"serviceAccount": {component: {"name": "mine"}}})
        if account.component == component
    ]
    assert account.name == "mine"


@pytest.mark.parametrize("component", ["workers", "dagProcessor", "triggerer", "sentinel"])
def test_an_account_of_ones_own_is_not_made(component: str) -> None:
    made = {
        account.component: account.create
        for account in accounts_of({"serviceAccount": {component: {"create": False, "name": "mine"}}})
    }
    assert [name for name, create in made.items() if not create] == [component]


def test_a_workers_own_block_wins_over_the_shared_one() -> None:
    values = {
        "serviceAccount": {"workers": {"create": False, "name": "shared"}},
        "workers": [{"name": "a"}, {"name": "b", "serviceAccount": {"name": "own"}}],
    }
    assert [(account.name, account.create) for account in accounts_of(values)[:2]] == [
        ("shared", False),
        ("own", False),
    ]


@pytest.mark.parametrize("sentinel", [{"enabled": False}, {"enabled": None}, None])
def test_a_sentinel_that_is_off_has_no_account(sentinel: Any) -> None:
    assert "prod-sentinel" not in names_of({"sentinel": sentinel})


@pytest.mark.parametrize("sentinel", [{"enabled": True}, {"port": 8080}, {}])
def test_a_sentinel_is_on_unless_it_is_switched_off(sentinel: Any) -> None:
    assert "prod-sentinel" in names_of({"sentinel": sentinel})


def test_switching_another_component_off_does_not_exist() -> None:
    assert "prod-triggerer" in names_of({"triggerer": {"enabled": False}})


def test_the_subject_is_the_sub_claim_of_the_accounts_tokens() -> None:
    account = ServiceAccount(component="triggerer", name="prod-triggerer", namespace="astro")
    assert account.subject == "system:serviceaccount:astro:prod-triggerer"


def test_a_shared_account_is_trusted_once_and_in_order() -> None:
    values = {
        "serviceAccount": {
            "workers": {"create": False, "name": "shared"},
            "triggerer": {"create": False, "name": "shared"},
            "dagProcessor": {"name": "a-processor"},
        },
        "sentinel": {"enabled": False},
        "workers": [{"name": "a"}, {"name": "b"}],
    }
    assert subjects(accounts_of(values)) == (
        "system:serviceaccount:astro:shared",
        "system:serviceaccount:astro:a-processor",
    )


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"serviceAccount": {"triggerer": {"name": "My_Triggerer"}}},
            "serviceAccount.triggerer.name: must be 1-253 lower-case letters, digits, hyphens or dots, and each part "
            'between dots must start and end with a letter or digit; got "My_Triggerer"',
        ),
        (
            {"serviceAccount": {"dagProcessor": {"create": False}}},
            "serviceAccount.dagProcessor.name: is required where create is false: name your own account",
        ),
        (
            {"workers": [{"name": "a", "serviceAccount": {"create": False}}]},
            "workers[a].serviceAccount.name: is required where create is false: name your own account",
        ),
        (
            {"serviceAccount": {"sentinel": {"create": "false"}}},
            'serviceAccount.sentinel.create: must be true or false; got "false"',
        ),
        (
            {"serviceAccount": {"triggerer": {"name": "prod-sentinel"}}},
            "sentinel: would create the service account prod-sentinel a second time, after triggerer; try a name of "
            "its "
            "own, or create: false with your own account",
        ),
        (
            {"serviceAccount": {"workers": {"name": "shared"}}, "workers": [{"name": "a"}, {"name": "b"}]},
            "workers[b]: would create the service account shared a second time, after workers[a]; try a name of its "
            "own, or create: false with your own account",
        ),
    ],
)
def test_accounts_that_cannot_work_are_refused(values: Values, says: str) -> None:
    assert refused(values) == [says]


@pytest.mark.parametrize("name", ["Heavy", "heavy worker", "h" * 52])
def test_a_worker_whose_account_kubernetes_would_refuse(name: str) -> None:
    (line,) = refused({"workers": [{"name": name}]})
    assert line.startswith(f"workers[{name}].name: must be 1-51 ")


@pytest.mark.parametrize("name", ["Big_Worker", "a.b", "h" * 52])
def test_the_name_of_a_worker_is_checked_whatever_its_account(name: str) -> None:
    (line,) = refused({"workers": [{"name": name, "serviceAccount": {"name": "big"}}]})
    assert line.startswith(f"workers[{name}].name: must be 1-51 ")


@pytest.mark.parametrize("name", ["team.airflow", "a" * 253, "a.b-c.0"])
@pytest.mark.parametrize("create", [True, False])
def test_an_account_is_called_as_kubernetes_allows(name: str, create: bool) -> None:
    block = {"create": create, "name": name}
    assert name in names_of({"serviceAccount": {"workers": block}})
    assert name in names_of({"workers": [{"name": "a", "serviceAccount": block}]})


@pytest.mark.parametrize("name", ["team..airflow", "a" * 254, ".a", "a.", "a.-b", "Team.airflow"])
def test_an_account_that_kubernetes_refuses_has_no_other_to_try(name: str) -> None:
    (line,) = refused({"serviceAccount": {"triggerer": {"create": False, "name": name}}})
    assert "must be 1-253" in line
    assert "try" not in line


def test_a_null_in_the_block_of_an_account_is_not_given() -> None:
    blank = {"create": None, "name": None}
    assert accounts_of({"serviceAccount": {"triggerer": blank, "workers": blank}}) == accounts_of({})
    values = {"serviceAccount": {"workers": {"create": False, "name": "shared"}}}
    worker = {"name": "a", "serviceAccount": blank}
    assert names_of({**values, "workers": [worker]})[0] == "shared"


def test_the_account_default_cannot_be_created() -> None:
    (line,) = refused({"serviceAccount": {"triggerer": {"name": "default"}}})
    assert line.startswith("serviceAccount.triggerer.name: default is in every namespace")


def test_every_account_that_cannot_work_has_a_line() -> None:
    assert len(refused({"serviceAccount": {"triggerer": {"name": "A"}, "dagProcessor": {"create": False}}})) == 2


@pytest.mark.parametrize("name", [123, 0, True, ["a"]])
def test_the_name_of_an_account_is_text(name: Any) -> None:
    (line,) = refused({"serviceAccount": {"triggerer": {"name": name}}})
    assert line.startswith("serviceAccount.triggerer.name: must be ")


# ---- back into the values


def test_the_values_that_name_each_account() -> None:
    values = {"workers": [{"name": "a"}], "serviceAccount": {"triggerer": {"create": False, "name": "mine"}}}
    assert named_in_values(accounts_of(values)) == {
        "serviceAccount": {
            "dagProcessor": {"create": True, "name": "prod-dag-processor"},
            "triggerer": {"create": False, "name": "mine"},
            "sentinel": {"create": True, "name": "prod-sentinel"},
        },
        "workers": [{"name": "a", "serviceAccount": {"create": True, "name": "prod-worker-a"}}],
    }


def test_the_charts_own_worker_is_named_in_the_shared_block() -> None:
    values = named_in_values(accounts_of({}))
    assert values["serviceAccount"]["workers"] == {"create": True, "name": "prod-worker-default-worker"}
    assert "workers" not in values


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Values]:
    return st.fixed_dictionaries({}, optional=fields)


BLOCKS = optional(create=st.booleans(), name=st.sampled_from(["one", "two", "three"]))
VALUES = optional(
    serviceAccount=optional(workers=BLOCKS, dagProcessor=BLOCKS, triggerer=BLOCKS, sentinel=BLOCKS),
    sentinel=optional(enabled=st.booleans()),
    workers=st.none()
    | st.lists(
        st.builds(lambda name, more: {"name": name, **more}, st.sampled_from("abc"), optional(serviceAccount=BLOCKS)),
        max_size=3,
        unique_by=lambda worker: str(worker["name"]),
    ),
)
PROPERTY = settings(max_examples=120, deadline=None, derandomize=True)


@PROPERTY
@given(values=VALUES)
def test_naming_the_accounts_changes_none_of_them(values: Values) -> None:
    try:
        accounts = accounts_of(values)
    except SettingErrors:
        return
    ours = named_in_values(accounts)
    assert accounts_of(merge([Source(name="user", values=values), Source(name="ours", values=ours)])) == accounts


@PROPERTY
@given(values=VALUES)
def test_no_account_is_made_twice(values: Values) -> None:
    try:
        made = [account.name for account in accounts_of(values) if account.create]
    except SettingErrors:
        return
    assert len(made) == len(set(made))


@PROPERTY
@given(values=VALUES)
def test_every_running_component_has_one_account(values: Values) -> None:
    try:
        accounts = accounts_of(values)
    except SettingErrors:
        return
    workers = [worker["name"] for worker in values.get("workers") or ()]
    expected = workers if "workers" in values else [None]
    assert [account.worker for account in accounts if account.component == "workers"] == expected
    off = (values.get("sentinel") or {}).get("enabled") is False
    others = [account.component for account in accounts if account.component != "workers"]
    assert others == ["dagProcessor", "triggerer"] + ([] if off else ["sentinel"])
