"""Any text in a user's values reaches the chart unchanged: settings, JSON, Terraform core, Helm, pod."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support import EXAMPLE, Applied, Body, render, synth_file

pytestmark = pytest.mark.terraform

HOSTILE = [
    "${HOME}", "$${HOME}", "$$${HOME}", "${", "$${", "%{if x}", "%%{if x}", "%{", "${aws_s3_bucket.x.arn}", "$",
    "${TfToken[TOKEN.0]}", "#{TfToken[TOKEN.1]}", "$${TfToken[TOKEN.2]}", "#{x}", "TfToken[TOKEN.3]",
    '"', '"quoted"', "'", "back\\slash", "\\n", "\\", "\\\\", "\\u0041", "${\"$\"}{",
    "line\nbreak", "line\r\nbreak", "tab\tbed", " leading and trailing ", "", "~", "null", "true", "yes", "n", "0x1F",
    "1e3", "012", "12:30", "2024-01-01", "- item", "key: value", "# comment", "{{ .Values.x }}", "{{", "}}",
    "&anchor", "*alias", "!!str x", "|", ">", "%", "@", "`", "ünïcödé", "日本語", "😀", "\u00a0", "\u2028", "\ufeff",
    "$(VAR)", "$VAR", '{"json": "in ${text}"}', "a" * 3000,
]  # fmt: skip

STACK = """
deployments:
  text:
    cloud: aws
    region: us-east-1
    cluster: {name: data-prod}
    agent: {namespace: astro, resource_name_prefix: prod, values_files: [values.yaml]}
    storage: {bucket: acme-xcom}
"""

TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("$%{}#[]\"\\'`:-!&*|> \n\t~TfToken.0"),
        st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    ),
    max_size=30,
)


def through_the_chart(
    texts: list[str], keys: list[str], folder: Path, applied: Applied, helm: Path
) -> tuple[Body, Body]:
    """(what was written, what the chart received)."""
    folder.mkdir(exist_ok=True)
    base = yaml.safe_load((EXAMPLE / "examples" / "agent-values.yaml").read_text())
    extra: dict[str, Any] = {
        "testEcho": True,
        "commonEnv": base["commonEnv"] + [{"name": f"TEXT_{n}", "value": text} for n, text in enumerate(texts)],
        "extra": {key: key for key in keys},
        "nested": [[{"text": texts}], {"deep": {"deeper": texts}}],
        "numbers": [0, -1, 1.5, 2**53, 1e21, True, False, None],
    }
    values = {**base, **extra}
    (folder / "values.yaml").write_text(json.dumps(values, ensure_ascii=False).replace("\u2028", "\\u2028"))
    (folder / "deployments.yaml").write_text(STACK)
    stack = synth_file(folder / "deployments.yaml", folder / "out")["text"]
    (document,) = applied(stack).one("helm_release")["values"]
    (folder / "document.yaml").write_text(document)
    (echo,) = [
        document
        for document in render(helm, folder / "document.yaml")
        if document["kind"] == "ConfigMap" and "values" in document.get("data", {})
    ]
    return values, json.loads(echo["data"]["values"])


def assert_unchanged(written: Body, received: Body) -> None:
    ours = {entry["name"]: entry["value"] for entry in received["commonEnv"]}
    for entry in written["commonEnv"]:
        assert ours[entry["name"]] == entry["value"]
    for key in ("extra", "nested", "numbers"):
        assert received[key] == written[key]


def test_hostile_texts_reach_the_chart_unchanged(applied: Applied, helm: Path, tmp_path: Path) -> None:
    keys = [text for text in HOSTILE if len(text) <= 1000]  # YAML allows no longer keys
    assert_unchanged(*through_the_chart(HOSTILE, keys, tmp_path, applied, helm))


def test_generated_texts_reach_the_chart_unchanged(
    applied: Applied, helm: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    @settings(
        max_examples=4,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(TEXTS, min_size=80, max_size=120), st.lists(TEXTS.filter(bool), max_size=20, unique=True))
    def check(texts: list[str], keys: list[str]) -> None:
        assert_unchanged(*through_the_chart(texts, keys, tmp_path_factory.mktemp("text"), applied, helm))

    check()
