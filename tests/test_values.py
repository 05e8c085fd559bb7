"""`astro-xcom values`: what the release gets, as a file; and nothing that only Terraform knows is made up."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom import __version__
from astro_xcom.cli import app as cli
from astro_xcom.report.terraform import UNKNOWN
from astro_xcom.values_document import document, unknown
from astro_xcom.yaml_files import parse
from support import EXAMPLE, GOLDEN, Body, edited
from test_check import made, resource

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command, in the folder of the example: arguments -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(EXAMPLE)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["astro-xcom", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        out, err = capsys.readouterr()
        text = isinstance(done.value.code, str)  # which Python prints
        return (1, out, err + str(done.value.code)) if text else (int(done.value.code or 0), out, err)

    return command


def shown(name: str, folder: Path) -> tuple[Path, Body]:
    _, _, state = made(name)
    file = folder / "state.json"
    file.write_text(json.dumps(state))
    return file, state


def outputs(state: Body, folder: Path) -> Path:
    file = folder / "outputs.json"
    file.write_text(json.dumps(state["values"]["outputs"]))
    return file


def test_the_version_is_shown(run: Run) -> None:
    assert run("--version") == (0, f"astro-xcom {__version__}\n", "")


@pytest.mark.parametrize("name", ["aws-example", "gcp-example"])
def test_before_the_first_apply_the_values_are_what_the_chart_receives(name: str, run: Run) -> None:
    code, out, err = run("values", name)
    received = yaml.safe_load((GOLDEN / name.partition("-")[0] / f"{name}.values.yaml").read_text())
    assert (code, err, parse(out)) == (0, "", received)


@pytest.mark.parametrize("form", ["show", "outputs"])
def test_what_only_terraform_knows_comes_from_the_state(form: str, run: Run, tmp_path: Path) -> None:
    file, state = shown("azure-example", tmp_path)
    code, out, err = run("values", "azure-example", "--state", file if form == "show" else outputs(state, tmp_path))
    assert (code, err) == (0, "")
    assert parse(out) == json.loads(resource(state, "helm_release")["values"]["values"][0])
    assert not UNKNOWN.search(out)


def test_without_a_state_it_is_refused_by_name(run: Run) -> None:
    code, out, err = run("values", "azure-example")
    assert (code, out) == (1, "")
    assert (
        "azure-example: annotations.azure.workload.identity/client-id needs a value that only Terraform knows: "
        "client_id" in err
    )
    assert err.count("try --state") == 3


def test_aws_without_an_account_says_both_ways_out(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    whole = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    file.write_text(yaml.safe_dump(edited(whole, {"deployments": {"aws-example": {"account_id": None}}})))
    (tmp_path / "examples").symlink_to(EXAMPLE / "examples")
    code, _, err = run("values", "aws-example", "-f", file)
    assert code == 1
    assert "annotations.eks.amazonaws.com/role-arn needs" in err
    assert "or account_id in the deployment" in err


@pytest.mark.parametrize("form", ["show", "outputs"])
def test_the_state_of_another_storage_is_refused(form: str, run: Run, tmp_path: Path) -> None:
    file, state = shown("azure-example", tmp_path)
    state["values"]["outputs"]["account"]["value"] = "theirs"
    file.write_text(json.dumps(state))
    code, out, err = run("values", "azure-example", "--state", file if form == "show" else outputs(state, tmp_path))
    assert (code, out) == (1, "")
    assert "storage account is theirs there; the file says acmeastroxcom" in err


def test_the_state_before_a_worker_got_its_identity_says_so(run: Run, tmp_path: Path) -> None:
    file, state = shown("azure-example", tmp_path)
    whole = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    own: Body = {"identity": {"workers": {"default-worker": {}}}}
    (tmp_path / "deployments.yaml").write_text(yaml.safe_dump(edited(whole, {"deployments": {"azure-example": own}})))
    (tmp_path / "examples").symlink_to(EXAMPLE / "examples")
    for given in (file, outputs(state, tmp_path)):
        code, _, err = run("values", "azure-example", "--state", given, "-f", tmp_path / "deployments.yaml")
        assert code == 1
        assert "the state has no identity of the worker default-worker yet: apply the deployment first" in err
        assert "None" not in err


def test_a_file_is_written_compared_and_never_taken_from_others(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "values" / "agents.yaml"
    check = ("values", "gcp-example", "-o", file, "--check")
    assert run(*check)[0] == 1
    assert not file.exists()
    assert run("values", "gcp-example", "-o", file) == (0, f"{file}\n", "")
    assert run(*check)[0] == 0
    text = file.read_text()
    file.write_text("# formatted\r\n" + text.replace("\n", "\r\n"))
    assert run(*check)[0] == 0
    old = text.replace("prod-gcp", "test-gcp")
    file.write_text(old)
    code, out, err = run(*check)
    assert (code, out, err.count("\n"), file.read_text()) == (1, "", 1, old)
    assert "does not have the values that the deployment gives now; try `astro-xcom values gcp-example -o" in err
    assert run("values", "gcp-example", "-o", file)[0] == 0
    assert file.read_text() == text
    file.write_bytes(b"\xff")
    assert "was not written by this command" in run("values", "gcp-example", "-o", file)[2]
    assert f"{file}: cannot be read: not UTF-8 text; try" in run(*check)[2]
    file.write_text("mine: true\n")
    code, _, err = run("values", "gcp-example", "-o", file)
    assert (code, file.read_text()) == (1, "mine: true\n")
    assert "was not written by this command" in err


def test_check_needs_a_file(run: Run) -> None:
    assert "name it with --output" in run("values", "gcp-example", "--check")[2]


HARD: list[Any] = [
    "y", "0o7", "1_000", "012", "1e3", "2026-01-01", "~", "null", "", " a", "a: b", "#", "'", '"', "a\nb", "a\n\n",
    " a\nb", "\n", "a\r\nb", "\t", "\x85", "a\u2028b\nc", "\x7f", "é", "😀", "{{ x }}", "${x}", "<<", "=", "-",
    "a" * 300, 0, 1.5, True, None, [], {}, [[]], {"y": {"1": "<<"}}, "a \nb ", "|", "%x", "@x", "`x`",
]  # fmt: skip


def test_helm_reads_exactly_the_values() -> None:
    values = {"hard": HARD, "again": HARD, "<<": "key", "no": "key", "1": "key"}
    assert parse(document("it", values)) == values


def test_a_null_stays_a_null(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    whole = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    extra = {"resources": None, "annotations": {"a": "${b} %{c} (known)"}}
    whole["deployments"]["gcp-example"]["agent"]["values"] = extra
    file.write_text(yaml.safe_dump(whole))
    (tmp_path / "examples").symlink_to(EXAMPLE / "examples")
    code, out, err = run("values", "gcp-example", "-f", file)
    assert (code, err) == (0, "")
    assert parse(out)["annotations"]["a"] == "${b} %{c} (known)"
    assert parse(out)["resources"] is None


def test_what_is_unknown_is_found_wherever_it_stands() -> None:
    text = "(known after apply: id of x)"
    assert list(unknown({"a": [text, {"name": "n", "value": f"{text}{text}"}], "b": 1})) == [
        ("a[0]", "id of x"), ("a[n].value", "id of x"), ("a[n].value", "id of x"),
    ]  # fmt: skip
