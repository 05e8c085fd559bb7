"""What is warned of in chart values: with it a release installs, and its agents never work."""

import json
from typing import Any

import pytest
import yaml

from astro_xcom.deployments import CLOUDS, read_deployments
from astro_xcom.likely_mistakes import KEYS, likely_mistakes
from support import EXAMPLE

GOOD: dict[str, Any] = {
    "astroDeploymentAPIURL": "https://cluster0.external.astronomer.run/d0000000",
    "secretBackend": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
    "image": "images.example.com/agent:1",
    "imagePullSecretName": "pull",
    "agentTokenSecretName": "token",
}
OWN = {"image": "images.example.com/other:1"}


def without(*keys: str, **more: Any) -> dict[str, Any]:
    return {**{key: value for key, value in GOOD.items() if key not in keys}, **more}


@pytest.mark.parametrize(
    "values",
    [
        GOOD,
        yaml.safe_load((EXAMPLE / "examples" / "agent-values.yaml").read_text()),
        without("image", workers=[{"name": "a", **OWN}], dagProcessor=OWN, triggerer=OWN),
        without("agentTokenSecretName", agentTokenFile="/token"),
        without("agentTokenSecretName", commonEnv=[{"name": "ASTRO_AGENT_CLIENT_API_TOKEN", "valueFrom": {}}]),
        {**GOOD, "dagBundleConfigList": "[]"},
        {**GOOD, "commonEnv": [{"name": "A", "value": r"(?P<name>x)(?<other>y) a < b > c <1>"}]},
        {**GOOD, "sentinel": {"config": "<your own>"}},
        {**GOOD, "x-anchors": {}, "global": {}, "tolerations": []},
        {**GOOD, **{key: None for key in KEYS if key not in GOOD}},
    ],
)
def test_good_values_are_not_spoken_of(values: dict[str, Any]) -> None:
    assert list(likely_mistakes(values)) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        *((without(key), key) for key in ("astroDeploymentAPIURL", "secretBackend", "image", "imagePullSecretName")),
        (without("imagePullSecretName", imagePullSecretName=""), "imagePullSecretName"),
        (without("agentTokenSecretName"), "agentTokenSecretName"),
        (without("image", workers=[{"name": "a", **OWN}, {"name": "b"}], dagProcessor=OWN, triggerer=OWN), "image"),
        (without("image", dagProcessor=OWN, triggerer=OWN), "image"),  # the chart's own worker has none
        ({**GOOD, "image": "<your-image>"}, "image: <your-image> was not filled in"),
        ({**GOOD, "astroDeploymentAPIURL": "https://<clusterId>.x/d"}, "astroDeploymentAPIURL: <clusterId> was"),
        ({**GOOD, "commonEnv": [{"name": "A", "value": "<id>"}]}, "commonEnv[A].value: <id> was not filled in"),
        ({**GOOD, "workers": [{"name": "w", "env": [{"name": "A", "value": "<id>"}]}]}, "workers[w].env[A]"),
        ({**GOOD, "labels": {"a": "<team name>"}}, "labels.a: <team name>"),
        ({**GOOD, "dagBundleConfigList": [{"name": "dags"}]}, "dagBundleConfigList: must be text that holds a JSON"),
        ({**GOOD, "dagBundleConfigList": "{}"}, "dagBundleConfigList"),
        ({**GOOD, "dagBundleConfigList": "[{name: dags}]"}, "dagBundleConfigList"),
        ({**GOOD, "dagBundleConfigList": "[" * 100_000}, "dagBundleConfigList"),
        ({**GOOD, "worker": []}, "worker: the chart has no such value; did you mean workers?"),
        ({**GOOD, "common_env": []}, "common_env: the chart has no such value; did you mean commonEnv?"),
        ({**GOOD, "dagprocessor": {}}, "did you mean dagProcessor?"),
        ({**GOOD, "serviceAccounts": {}}, "did you mean serviceAccount?"),
        ({**GOOD, "agentTokenSecret": "x"}, "did you mean agentTokenSecretName?"),
    ],
)  # fmt: skip
def test_a_likely_mistake_is_named(values: dict[str, Any], words: str) -> None:
    (said,) = likely_mistakes(values)
    assert words in said


@pytest.mark.parametrize("cloud", CLOUDS)
def test_deployments_of_every_cloud_warn_of_it(cloud: str, tmp_path: Any) -> None:
    content = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    content["defaults"]["agent"] = {"namespace": "astro", "values": {**GOOD, "worker": []}}
    name = f"{cloud}-example"
    for release, number in ((True, 1), (False, 0)):
        content["deployments"][name]["agent"]["release"] = release
        (tmp_path / "deployments.yaml").write_text(json.dumps(content))
        warnings = read_deployments(tmp_path / "deployments.yaml")[name].warnings()
        assert len([each for each in warnings if each.startswith("agent: worker: the chart has no")]) == number
