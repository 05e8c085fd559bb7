"""The user's chart values merged with ours: nothing lost, nothing won in silence."""

import copy
import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_xcom.chart_values import Source, merge, same, with_defaults, xcom_values
from astro_xcom.errors import SettingErrors
from astro_xcom.service_accounts import ServiceAccount
from astro_xcom.user_values import check_owned, check_source
from astro_xcom.xcom import PodIdentity
from astro_xcom.yaml_files import parse

Values = dict[str, Any]


def sources(*values: Values) -> list[Source]:
    return [Source(name=f"{number}.yaml", values=each) for number, each in enumerate(values)]


def merged(*values: Values) -> Values:
    return merge(sources(*values))


def conflicts(*values: Values) -> list[str]:
    with pytest.raises(SettingErrors) as caught:
        merged(*values)
    return caught.value.lines


def named(*names: str, **more: Any) -> list[Values]:
    return [{"name": name, **more} for name in names]


# ---- merging


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}}, {"a": {"b": {"c": 1, "d": 2}}}),
        ({"a": {}}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": 1}, {"a": 1}, {"a": 1}),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}),
        ({"a": None}, {"a": None}, {"a": None}),
    ],
)
def test_maps_merge_at_every_depth(one: Values, other: Values, both: Values) -> None:
    assert merged(one, other) == both


@pytest.mark.parametrize("key", ["commonEnv", "workers"])
def test_lists_of_named_entries_merge_by_name_and_keep_their_order(key: str) -> None:
    assert merged({key: named("a", "b", x=1)}, {key: [*named("c", x=1), *named("b", y=2)]}) == {
        key: [{"name": "a", "x": 1}, {"name": "b", "x": 1, "y": 2}, {"name": "c", "x": 1}]
    }


def test_maps_in_named_entries_merge_as_well() -> None:
    one = {"workers": named("a", serviceAccount={"name": "x"})}
    other = {"workers": named("a", serviceAccount={"create": True})}
    assert merged(one, other) == {"workers": named("a", serviceAccount={"name": "x", "create": True})}


@pytest.mark.parametrize("key", ["commonEnv", "workers"])
def test_null_beside_a_list_of_named_entries_means_the_same_in_either_order(key: str) -> None:
    assert outcome([{key: None}, {key: named("a")}]) == outcome([{key: named("a")}, {key: None}])


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ({"a": 1}, {"a": 2}, "1.yaml: a: 2 here, 1 in 0.yaml; keep one of them"),
        ({"a": "1"}, {"a": 1}, '1.yaml: a: 1 here, "1" in 0.yaml; keep one of them'),
        ({"a": 1}, {"a": 1.0}, "1.yaml: a: 1.0 here, 1 in 0.yaml; keep one of them"),
        ({"a": 1}, {"a": True}, "1.yaml: a: true here, 1 in 0.yaml; keep one of them"),
        ({"a": 0}, {"a": None}, "1.yaml: a: null here, 0 in 0.yaml; keep one of them"),
        ({"a": [1]}, {"a": [2]}, "1.yaml: a: [2] here, [1] in 0.yaml; keep one of them"),
        ({"a": [1, 2]}, {"a": [2, 1]}, "1.yaml: a: [2, 1] here, [1, 2] in 0.yaml; keep one of them"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "1.yaml: a.b: 2 here, 1 in 0.yaml; keep one of them"),
        ({"a": {"b": 1}}, {"a": 1}, '1.yaml: a: 1 here, {"b": 1} in 0.yaml; keep one of them'),
        ({"a": 1}, {"a": {"b": 1}}, '1.yaml: a: {"b": 1} here, 1 in 0.yaml; keep one of them'),
        ({"a": {}}, {"a": 1}, "1.yaml: a: 1 here, {} in 0.yaml; keep one of them"),
        (
            {"commonEnv": named("A", value="1")},
            {"commonEnv": named("A", value="2")},
            '1.yaml: commonEnv[A].value: "2" here, "1" in 0.yaml; keep one of them',
        ),
        (
            {"workers": named("a", resources={"cpu": 1})},
            {"workers": named("a", resources={"cpu": 2})},
            "1.yaml: workers[a].resources.cpu: 2 here, 1 in 0.yaml; keep one of them",
        ),
        (
            {"x": {"commonEnv": named("A")}},
            {"x": {"commonEnv": named("B")}},
            '1.yaml: x.commonEnv: [{"name": "B"}] here, [{"name": "A"}] in 0.yaml; keep one of them',
        ),
    ],
)
def test_a_disagreement_names_both_sources(one: Values, other: Values, says: str) -> None:
    assert conflicts(one, other) == [says]


def both(**values: Any) -> Values:
    return {"commonEnv": named("A", **values)}


SECRET_REF = {"secretKeyRef": {"name": "x", "key": "y"}}
TOKEN = "ASTRO_AGENT_CLIENT_API_TOKEN"


@pytest.mark.parametrize(
    ("one", "other", "where", "excludes"),
    [
        (both(value="a"), both(valueFrom=SECRET_REF), "commonEnv[A].valueFrom", "value"),
        (
            both(valueFrom=SECRET_REF),
            both(valueFrom={"fieldRef": {"fieldPath": "x"}}),
            "commonEnv[A].valueFrom.fieldRef",
            "valueFrom.secretKeyRef",
        ),
        ({"agentTokenSecretName": "a"}, {"agentTokenFile": "b"}, "agentTokenFile", "agentTokenSecretName"),
        (
            {"sentinelAuthSecretName": "a"},
            {"sentinelAuthSecretFile": "b"},
            "sentinelAuthSecretFile",
            "sentinelAuthSecretName",
        ),
        ({"imagePullSecretName": "a"}, {"imagePullSecretData": "b"}, "imagePullSecretData", "imagePullSecretName"),
        (
            {"openLineage": {"apiKeySecret": "a"}},
            {"openLineage": {"apiKey": "b"}},
            "openLineage.apiKey",
            "openLineage.apiKeySecret",
        ),
    ],
)
def test_alternatives_are_one_choice_and_both_sources_are_named(
    one: Values, other: Values, where: str, excludes: str
) -> None:
    assert conflicts(one, other) == [f"1.yaml: {where}: excludes {excludes} in 0.yaml; keep one of them"]
    (line,) = conflicts(merged(one) | {}, other)
    assert "excludes" in line


def test_an_alternative_in_one_source_is_refused_as_well() -> None:
    assert conflicts({"agentTokenFile": "b", "agentTokenSecretName": "a"}) == [
        "0.yaml: agentTokenFile: excludes agentTokenSecretName in 0.yaml; keep one of them"
    ]


@pytest.mark.parametrize("blank", [None, ""])
def test_a_blank_alternative_is_not_given(blank: Any) -> None:
    merged({"agentTokenSecretName": blank, "sentinelAuthSecretName": "a"}, {"agentTokenFile": "b"})
    merged(both(value=blank), both(valueFrom=SECRET_REF))


@pytest.mark.parametrize("name", [TOKEN, f"{TOKEN}_FILE"])
def test_the_agents_token_comes_from_one_place(name: str) -> None:
    variable = {"workers": named("a", env=named(name, valueFrom=SECRET_REF))}
    assert conflicts({"agentTokenSecretName": "a"}, variable) == [
        f"0.yaml: agentTokenSecretName: the chart sets {name} from it; keep one of them, here or in "
        f"workers[a].env[{name}]"
    ]
    merged(variable)


def test_every_disagreement_has_a_line() -> None:
    assert len(conflicts({"a": 1, "b": {"c": 1}, "d": 1}, {"a": 2, "b": {"c": 2}, "d": 1}, {"d": 3})) == 3


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([{"a": 1}, {"b": 1}, {"a": 2}], "2.yaml: a: 2 here, 1 in 0.yaml"),
        ([{"a": {"b": 1}}, {"a": {"c": 1}}, {"a": {"c": 2}}], "2.yaml: a.c: 2 here, 1 in 1.yaml"),
        ([{"a": 1, "m": {"a": {}}}, {"m": {"a": 5}}], "1.yaml: m.a: 5 here, {} in 0.yaml"),
        ([{"b": 1, "m": {"bc": 1}}, {"m": {"b": {}}}, {"m": {"b": 2}}], "2.yaml: m.b: 2 here, {} in 1.yaml"),
        ([{"b": 1}, {"m": {"b": {"c": 1}}}, {"m": {"b": 2}}], '2.yaml: m.b: 2 here, {"c": 1} in 1.yaml'),
    ],
)
def test_the_source_named_is_the_one_that_says_so(values: list[Values], says: str) -> None:
    assert conflicts(*values) == [f"{says}; keep one of them"]


KEYS = st.sampled_from(["a", "b", "name"])
SCALARS: st.SearchStrategy[Any] = st.sampled_from([0, 1, "x"])
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=2) | st.lists(inner, max_size=2), max_leaves=3
)
ENTRIES = st.lists(
    st.builds(
        lambda name, more: {**more, "name": name}, st.sampled_from("AB"), st.dictionaries(KEYS, TREES, max_size=1)
    ),
    max_size=2,
    unique_by=lambda entry: str(entry["name"]),
)
DOCUMENTS: st.SearchStrategy[Values] = st.builds(
    lambda plain, lists: {**plain, **lists},
    st.dictionaries(KEYS, TREES, max_size=2),
    st.fixed_dictionaries({}, optional={"commonEnv": ENTRIES, "workers": ENTRIES}),
)
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)


def outcome(values: list[Values]) -> str:
    """The merged document up to the order of named entries, or that there is none."""
    try:
        document = merged(*values)
    except SettingErrors:
        return "refused"
    for key in ("commonEnv", "workers"):
        if key in document:
            document[key] = sorted(document[key], key=lambda entry: str(entry["name"]))
    return json.dumps(document, sort_keys=True)


@PROPERTY
@given(values=DOCUMENTS)
def test_merging_twice_is_merging_once(values: Values) -> None:
    assert json.dumps(merged(values, values)) == json.dumps(merged(values)) == json.dumps(values)


@PROPERTY
@given(values=st.lists(DOCUMENTS, min_size=2, max_size=3))
def test_the_order_of_the_sources_does_not_matter(values: list[Values]) -> None:
    assert len({outcome(list(order)) for order in itertools.permutations(values)}) == 1


@PROPERTY
@given(values=st.lists(DOCUMENTS, min_size=3, max_size=3))
def test_merging_in_steps_is_merging_at_once(values: list[Values]) -> None:
    one, two, three = values
    try:
        both = merged(one, two)
    except SettingErrors:
        assert outcome(values) == "refused"
        return
    assert outcome([both, three]) == outcome(values)


def leaves(value: Any, path: tuple[str, ...] = ()) -> set[tuple[tuple[str, ...], str]]:
    if isinstance(value, Mapping) and value:
        return set().union(*(leaves(item, (*path, key)) for key, item in value.items()))
    if path in (("commonEnv",), ("workers",)):
        return set().union(*(leaves(entry, (*path, entry["name"])) for entry in value))
    return {(path, json.dumps(value, sort_keys=True))} if value != {} else set()


@PROPERTY
@given(values=st.lists(DOCUMENTS, max_size=3))
def test_nothing_is_lost_and_nothing_added(values: list[Values]) -> None:
    try:
        document = merged(*values)
    except SettingErrors:
        return
    assert leaves(document) == set().union(*map(leaves, values))


@PROPERTY
@given(values=st.lists(DOCUMENTS, max_size=3))
def test_merging_changes_no_source(values: list[Values]) -> None:
    before = copy.deepcopy(values)
    outcome(values)
    assert values == before


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        ("", None, False),
        ([1, "a"], [1, "a"], True),
        ([1], [1.0], False),
        ([1], [1, 1], False),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([], {}, False),
    ],
)
def test_same_means_the_same_to_helm(one: Any, other: Any, expected: bool) -> None:
    assert same(one, other) is expected
    assert same(other, one) is expected


# ---- what users cannot give


def problems(values: Values) -> list[str]:
    try:
        check_source(Source(name="mine.yaml", values=values))
    except SettingErrors as error:
        return error.lines
    return []


XCOM_PATH = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"
MARK = "eks.amazonaws.com/role-arn"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"agentToken": "x"}, "agentToken: would stand in Terraform's state in clear; try agentTokenSecretName"),
        ({"imagePullSecretData": "x"}, "imagePullSecretData: would stand in Terraform's state in clear"),
        *(
            ({"serviceAccount": {key: value}}, f"serviceAccount.{key}: belongs to one component; try serviceAccount.w")
            for key, value in (("create", False), ("name", "x"))
        ),
        ({"serviceAccount": {"worker": {"name": "x"}}}, "serviceAccount.worker: is no component of the chart; try w"),
        ({"serviceAccount": {"dag-processor": {}}}, "serviceAccount.dag-processor: is no component of the chart"),
        *(
            (values, f"{where}: would stand in Terraform's state in clear; try a variable")
            for where, values in (
                ("dagBundleConfigList", {"dagBundleConfigList": '[{"kwargs": {"repo_url": "https://x:y@h/r"}}]'}),
                ("loggingSidecar.config", {"loggingSidecar": {"config": 'auth.password = "x"'}}),
                ("loggingSidecar.config.sink.password", {"loggingSidecar": {"config": {"sink": {"password": "x"}}}}),
                (
                    "workers[a].extraContainers[c].args",
                    {"workers": named("a", extraContainers=named("c", args=["--token=x"]))},
                ),
                ("openLineage.url", {"openLineage": {"url": "https://x:y@lineage"}}),
                ("astroDeploymentAPIURL", {"astroDeploymentAPIURL": "https://h/?api_key=x"}),
            )
        ),
        ({"sentinelAuthSecret": "x"}, "sentinelAuthSecret: would stand in Terraform's state in clear"),
        ({"openLineage": {"apiKey": "x"}}, "openLineage.apiKey: would stand in Terraform's state in clear"),
        ({"commonEnv": {"A": "1"}}, "commonEnv: must be a list of entries with a name; got"),
        ({"commonEnv": "A"}, 'commonEnv: must be a list of entries with a name; got "A"'),
        ({"commonEnv": ["A"]}, 'commonEnv[0]: must be a mapping with a name; got "A"'),
        ({"commonEnv": [{"name": "A", "value": "1"}, {"value": "1"}]}, "commonEnv[1]: must be a mapping with a name"),
        ({"commonEnv": named("")}, "commonEnv[0]: must be a mapping with a name"),
        ({"commonEnv": [{"name": 1}]}, "commonEnv[0]: must be a mapping with a name"),
        ({"commonEnv": named("A", "A")}, "commonEnv[A]: is there twice; keep one of them"),
        ({"commonEnv": named("A", value=1)}, 'commonEnv[A]: must be text; got 1; try "1" in quotes'),
        ({"commonEnv": named("A", value=0)}, 'commonEnv[A]: must be text; got 0; try "0" in quotes'),
        ({"commonEnv": named("A", value=False)}, "commonEnv[A]: must be text; got false; put it in quotes"),
        ({"commonEnv": named("A", value=None)}, 'commonEnv[A]: must be text; got null; try "" in quotes'),
        ({"commonEnv": named("A", value=[1])}, "commonEnv[A]: must be text; got [1]"),
        (
            {"commonEnv": named("ASTRO_AGENT_CLIENT_API_TOKEN", value="x")},
            "commonEnv[ASTRO_AGENT_CLIENT_API_TOKEN]: would stand in Terraform's state in clear; try agentToken",
        ),
        ({"workers": named("a", env=named(XCOM_PATH))}, f"workers[a].env[{XCOM_PATH}]: is set from storage and xcom"),
        ({"dagProcessor": {"env": named(XCOM_PATH)}}, f"dagProcessor.env[{XCOM_PATH}]: is set from storage and xcom"),
        ({"triggerer": {"env": named(XCOM_PATH)}}, f"triggerer.env[{XCOM_PATH}]: is set from storage and xcom"),
        ({"sentinel": {"env": named("A", value=1)}}, 'sentinel.env[A]: must be text; got 1; try "1" in quotes'),
        ({"workers": {"a": {}}}, "workers: must be a list of entries with a name; got"),
        ({"workers": [{"queues": "a"}]}, "workers[0]: must be a mapping with a name"),
        ({"workers": named("a", "a")}, "workers[a]: is there twice; keep one of them"),
    ],
)
def test_values_that_cannot_work_are_refused(values: Values, says: str) -> None:
    (line,) = problems(values)
    assert line.startswith(f"mine.yaml: {says}")


@pytest.mark.parametrize("value", [{"x": 1}, [1]])
def test_what_is_no_scalar_gets_no_text_to_try(value: Any) -> None:
    (line,) = problems({"commonEnv": named("A", value=value)})
    assert not re.search(r'try ""', line)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"agentToken": "", "imagePullSecretData": None, "openLineage": {"apiKey": None}},
        {"agentTokenSecretName": "token", "imagePullSecretName": "pull", "openLineage": {"apiKeySecret": "key"}},
        {"commonEnv": None, "workers": None, "annotations": None, "labels": None, "serviceAccount": None},
        {"commonEnv": [], "workers": []},
        {"annotations": {"example.com/owner": "R&D, data (Berlin)"}, "labels": {"a": "", "b.c/d_e": "1.x-Y"}},
        {"loggingSidecar": {"config": 'auth.password = "${PASSWORD}"'}},
        {"workers": named("a", resources={"limits": {"cpu": 1}}, tolerations=[{"key": "a", "tolerationSeconds": 5}])},
        {"commonEnv": named("A", value="1")},
        {"commonEnv": named("A", value="")},
        {"commonEnv": named("A", valueFrom={"secretKeyRef": {"name": "x", "key": "y"}})},
        {"commonEnv": named("A", value="1"), "triggerer": {"env": named("A", value="2")}},
        {"commonEnv": named("AIRFLOW__CORE__PARALLELISM", value="1")},
        {"annotations": {"example.com/role-arn": "x"}, "labels": {"use": "x"}},
        {"dagProcessor": None, "triggerer": {"env": None}},
    ],
)
def test_values_that_work_are_let_through(values: Values) -> None:
    assert problems(values) == []


def test_every_problem_of_a_source_has_a_line() -> None:
    assert len(problems({"agentToken": "x", "commonEnv": named("A", "A", value=1), "annotations": {"a": 1}})) == 5


@pytest.mark.parametrize("values", [{"namespace": "astro"}, {}])
def test_a_source_may_repeat_a_setting_or_leave_it_out(values: Values) -> None:
    check_owned(Source(name="mine", values=values), {"namespace": ("agent.namespace", "astro")})


@pytest.mark.parametrize(("given", "shown"), [("other", '"other"'), (1, "1"), (False, "false")])
def test_a_source_that_contradicts_a_setting_is_refused(given: Any, shown: str) -> None:
    with pytest.raises(SettingErrors) as caught:
        check_owned(Source(name="mine", values={"namespace": given}), {"namespace": ("agent.namespace", "astro")})
    assert caught.value.lines == [f'mine: namespace: {shown} here, "astro" in agent.namespace; keep one of them']


@pytest.mark.parametrize("blank", [None, ""])
def test_a_blank_contradicts_no_setting(blank: Any) -> None:
    check_owned(Source(name="mine", values={"namespace": blank}), {"namespace": ("agent.namespace", "astro")})


# What Kubernetes takes as text, as it stands in a file -> what is said of it.
TEXTS = [
    ("labels: {version: 2}", 'labels.version: must be text; got 2; try "2" in quotes'),
    ("labels: {cost-centre: 0123}", 'labels.cost-centre: must be text; got 0123; try "0123" in quotes'),
    ("annotations: {cost-center: 4711}", 'annotations.cost-center: must be text; got 4711; try "4711" in quotes'),
    ("annotations: {a: 0x1F}", 'annotations.a: must be text; got 0x1F; try "0x1F" in quotes'),
    ("annotations: {a: 1_000}", 'annotations.a: must be text; got 1_000; try "1_000" in quotes'),
    ("annotations: {a: 1.50}", 'annotations.a: must be text; got 1.50; try "1.50" in quotes'),
    (
        "annotations: {prometheus.io/scrape: true}",
        "annotations.prometheus.io/scrape: must be text; got true",
    ),
    ("annotations: {a: [b]}", 'annotations.a: must be text; got ["b"]'),
    ("nodeSelector: {gpu: yes}", "nodeSelector.gpu: must be text; got true; put it in quotes"),
    ("nodeSelector: [a]", 'nodeSelector: must be a mapping of texts; got ["a"]'),
    ("triggerer: {nodeSelector: {a: 1}}", 'triggerer.nodeSelector.a: must be text; got 1; try "1" in quotes'),
    ("sentinel: {labels: {a: 1}}", 'sentinel.labels.a: must be text; got 1; try "1" in quotes'),
    ("dagProcessor: {podLabels: {a: 1}}", 'dagProcessor.podLabels.a: must be text; got 1; try "1" in quotes'),
    ("workers: [{name: a, labels: {b: 1}}]", 'workers[a].labels.b: must be text; got 1; try "1" in quotes'),
    (
        "workers: [{name: a, serviceAccount: {annotations: {b: 1}}}]",
        'workers[a].serviceAccount.annotations.b: must be text; got 1; try "1" in quotes',
    ),
    (
        "serviceAccount: {triggerer: {annotations: {b: 1}}}",
        'serviceAccount.triggerer.annotations.b: must be text; got 1; try "1" in quotes',
    ),
    ("annotations: [a]", 'annotations: must be a mapping of texts; got ["a"]'),
    (
        "workers: [{name: a, extraContainers: [{name: c, args: [--port, 0123]}]}]",
        'workers[a].extraContainers[c].args[1]: must be text; got 0123; try "0123" in quotes',
    ),
    (
        "triggerer: {initContainers: [{name: i, command: [sleep, 1.50]}]}",
        'triggerer.initContainers[i].command[1]: must be text; got 1.50; try "1.50" in quotes',
    ),
    (
        "workers: [{name: a, tolerations: [{key: gpu, operator: Equal, value: true, tolerationSeconds: 5}]}]",
        "workers[a].tolerations[0].value: must be text; got true; put it in quotes",
    ),
    (
        "sentinel: {affinity: {podAffinity: {labelSelector: {matchLabels: {zone: 01}}}}}",
        'sentinel.affinity.podAffinity.labelSelector.matchLabels.zone: must be text; got 01; try "01" in quotes',
    ),
    (
        "dagProcessor: {affinity: {a: [{matchExpressions: [{key: size, operator: In, values: [1_0]}]}]}}",
        'dagProcessor.affinity.a[0].matchExpressions[0].values: must be text; got 1_0; try "1_0" in quotes',
    ),
    (
        "commonEnv: [{name: A, valueFrom: {secretKeyRef: {}}}, {name: B, value: 1e3}]",
        'commonEnv[B]: must be text; got 1e3; try "1e3"',
    ),
    ("labels: {team: R&D}", "labels.team: must be at most 63 letters, digits and _ . -"),
    ("nodeSelector: {pool: -a}", "nodeSelector.pool: must be at most 63 letters"),
    ("labels: {my key: a}", "labels: a key must be 1-63 letters, digits and _ . -"),
    ("annotations: {a/b/c: x}", "annotations: a key must be 1-63 letters"),
    ("sentinelAuthSecretFile: 1", 'sentinelAuthSecretFile: must be text; got 1; try "1" in quotes'),
    ("imagePullSecretName: [a]", 'imagePullSecretName: must be text; got ["a"]'),
    ("agentTokenSecretName: 1", 'agentTokenSecretName: must be text; got 1; try "1" in quotes'),
    ("openLineage: {apiKeySecret: {a: b}}", 'openLineage.apiKeySecret: must be text; got {"a": "b"}'),
    (
        "commonEnv: [{name: AWS_ACCOUNT_ID, value: 012345671234}]",
        'commonEnv[AWS_ACCOUNT_ID]: must be text; got 012345671234; try "012345671234" in quotes',
    ),
]


@pytest.mark.parametrize(("text", "says"), TEXTS)
def test_text_is_asked_for_as_it_was_written(text: str, says: str) -> None:
    with pytest.raises(SettingErrors) as caught:
        check_source(Source(name="mine", values=parse(text)))
    (line,) = caught.value.lines
    assert line.startswith(f"mine: {says}")


@pytest.mark.parametrize("text", ["labels:", "labels: {}", "labels: {a: ~}", "nodeSelector:", "imagePullSecretName:"])
def test_an_empty_mapping_or_name_is_fine(text: str) -> None:
    check_source(Source(name="mine", values=parse(text)))


def test_a_number_is_the_same_however_it_is_written() -> None:
    assert same(parse("a: 0x10"), {"a": 16})
    assert not same(parse("a: 0x10"), {"a": 16.0})
    assert not same(parse("a: 1"), {"a": True})


# ---- our own


def our_values(**changes: Any) -> Values:
    settings: Values = {
        "namespace": "astro",
        "resource_name_prefix": "prod",
        "accounts": [ServiceAccount(component="triggerer", name="prod-triggerer", namespace="astro")],
        "variables": {"A": "1", "B": "2"},
        "pod_identity": PodIdentity(annotations={MARK: "arn"}),
        "state_store": False,
    }
    return xcom_values(**{**settings, **changes})


def test_the_whole_of_our_values() -> None:
    assert our_values() == {
        "resourceNamePrefix": "prod",
        "namespace": "astro",
        "createNamespace": False,
        "xcomBackend": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "commonEnv": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "annotations": {MARK: "arn"},
        "serviceAccount": {"triggerer": {"create": True, "name": "prod-triggerer"}},
    }


def test_a_state_store_names_its_class() -> None:
    assert our_values(state_store=True)["stateStoreBackend"] == (
        "airflow.providers.common.io.state_store.backend.StateStoreObjectStorageBackend"
    )


def test_labels_where_an_identity_needs_them() -> None:
    identity = PodIdentity(labels={"azure.workload.identity/use": "true"})
    assert our_values(pod_identity=identity)["labels"] == {"azure.workload.identity/use": "true"}


# ---- defaults


@pytest.mark.parametrize(
    ("values", "filled"),
    [
        ({}, {"openLineage": {"enabled": False}}),
        ({"openLineage": {}}, {"openLineage": {"enabled": False}}),
        ({"openLineage": {"enabled": True}}, {"openLineage": {"enabled": True}}),
        ({"openLineage": {"url": "x"}}, {"openLineage": {"url": "x", "enabled": False}}),
        ({"openLineage": None}, {"openLineage": {"enabled": False}}),
        ({"openLineage": {"enabled": None, "url": None}}, {"openLineage": {"enabled": False, "url": None}}),
        ({"a": 1}, {"a": 1, "openLineage": {"enabled": False}}),
    ],
)
def test_what_nobody_set_is_filled_in(values: Values, filled: Values) -> None:
    assert with_defaults(values) == filled


@PROPERTY
@given(lineage=st.fixed_dictionaries({}, optional={"enabled": TREES, "url": TREES}) | TREES)
def test_filling_in_changes_nothing_that_was_set(lineage: Any) -> None:
    filled = with_defaults({"openLineage": lineage})["openLineage"]
    assert leaves(lineage) <= leaves(filled)
