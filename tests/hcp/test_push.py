"""The real command, over https, against a local service that speaks HCP Terraform's documented API."""

import dataclasses
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from astro_xcom.hcp import api
from hcp.conftest import QUICK, Command, Said
from hcp.service import CHANGES, FAULTS, TOKEN, UPLOAD_SECRET, Service
from support import Body

PLANNED: Body = {"status": "planned", "has-changes": True, "actions": {"is-confirmable": True}}
APPLIED: Body = {"status": "applied", "has-changes": True, "actions": {"is-confirmable": False}}
PLAN: Body = {"status": "finished", "resource-additions": 3, "resource-changes": 2, "resource-destructions": 1}
SUMMARY = "Plan: 3 to add, 2 to change, 1 to destroy."


@pytest.fixture
def service(service: Service) -> Service:
    service.story = [{"status": "plan_queued"}, {"status": "planning"}, PLANNED]
    service.plan = PLAN
    return service


def push(command: Command, folder: Path, *options: str | Path, stack: str = "aws-example") -> Said:
    # A run that is followed for ever fails the test instead.
    return command("push", stack, "--from", folder, "--timeout", "0.5", *options)


# ---- how runs end


@pytest.mark.parametrize(
    ("story", "options", "code", "text"),
    [
        ([{"status": "planned_and_finished", "has-changes": False}], [], 0, "nothing to change"),
        ([PLANNED, APPLIED], ["--auto-apply"], 0, "applied"),
        ([PLANNED], [], 2, "changes planned; the run waits for somebody to confirm it"),
        ([{**PLANNED, "status": "cost_estimated"}], [], 2, "waits for somebody to confirm it"),
        ([{**PLANNED, "status": "policy_checked"}], [], 2, "waits for somebody to confirm it"),
        ([{"status": "planned_and_finished", "has-changes": True}], ["--plan-only"], 2, "changes planned"),
        ([{"status": "planned_and_finished", "has-changes": False}], ["--plan-only"], 0, "nothing to change"),
        ([{**PLANNED, "permissions": {"can-apply": False}}], ["--auto-apply"], 2, "the token may not apply"),
        ([{"status": "errored"}], [], 1, "the run failed"),
        ([PLANNED, {"status": "applying"}, {"status": "errored"}], ["--auto-apply"], 1, "the run failed"),
        ([{"status": "policy_soft_failed"}], ["--plan-only"], 1, "a policy failed"),
        ([{"status": "policy_checking"}, {"status": "policy_override"}], [], 1, "waits for somebody to override it"),
        ([{"status": "post_plan_awaiting_decision"}], [], 1, "a run task failed"),
        ([{"status": "discarded"}], [], 1, "the run was discarded"),
        ([{"status": "canceled"}], [], 1, "the run was cancelled"),
        ([{"status": "force_canceled"}], [], 1, "the run was cancelled by force"),
        ([{"status": "a state of later years"}, APPLIED], ["--auto-apply"], 0, "applied"),
    ],
)
def test_a_run_ends_with_its_code_and_its_page(
    story: list[Body], options: list[str], code: int, text: str, command: Command, service: Service, exported: Path
) -> None:
    service.story = story
    said = push(command, exported, *options)
    (run,) = service.runs
    assert said.code == code
    last = (said.out if code != 1 else said.err).splitlines()[-1]
    assert text in last
    assert last.endswith(f"https://{service.hostname}/app/acme/workspaces/aws-example/runs/{run}")
    assert SUMMARY in (said.out if code != 1 else said.err)


def test_the_errors_of_a_plan_are_shown(command: Command, service: Service, exported: Path) -> None:
    service.story = [{"status": "errored"}]
    service.plan = {"status": "errored"}
    error = {"severity": "error", "summary": "Invalid role", "detail": "no such role"}
    service.log = f'Terraform v1.11.4\n{{"@level":"info"}}\n{json.dumps({"diagnostic": error})}\n'
    said = push(command, exported)
    assert said.code == 1
    assert "Error: Invalid role: no such role" in said.err
    assert "Terraform v1.11.4" not in said.err


def test_the_end_of_a_log_without_structure_is_shown(command: Command, service: Service, exported: Path) -> None:
    service.story = [{"status": "errored"}]
    service.plan = {"status": "errored"}
    service.log = "setup\n" * 30 + "Error: no credentials\n"
    said = push(command, exported)
    assert "Error: no credentials" in said.err
    assert said.err.count("setup") == 19


def test_the_run_is_as_wished(command: Command, service: Service, exported: Path) -> None:
    push(command, exported, "--message", "for ticket 7")
    (run,) = service.runs.values()
    (version,) = service.versions.values()
    assert run["attributes"].items() >= {"auto-apply": False, "plan-only": False}.items()
    assert run["attributes"]["message"].startswith("for ticket 7 (sha256 ")
    assert version["attributes"].items() >= {"auto-queue-runs": False, "speculative": False}.items()


def test_a_plan_only_run_uses_a_speculative_upload(command: Command, service: Service, exported: Path) -> None:
    push(command, exported, "--plan-only")
    assert [one["attributes"]["speculative"] for one in service.versions.values()] == [True]
    assert [one["attributes"]["plan-only"] for one in service.runs.values()] == [True]


def test_without_waiting_the_run_is_only_made(command: Command, service: Service, exported: Path) -> None:
    said = push(command, exported, "--no-wait")
    assert said.code == 0
    assert "the run is under way: https://" in said.out
    assert "read run" not in service.asked
    assert len(service.runs) == 1


def test_a_run_that_takes_too_long_is_left_to_itself(command: Command, service: Service, exported: Path) -> None:
    service.story = [{"status": "planning"}]
    said = push(command, exported, "--timeout", "0.001")
    assert said.code == 1
    assert "not done after 0.06 seconds; the run continues: https://" in said.err


def test_json_is_all_that_is_on_stdout(command: Command, service: Service, exported: Path) -> None:
    said = push(command, exported, "--json")
    report = json.loads(said.out)
    assert said.code == report["exit_code"] == 2
    assert report["run"] in service.runs
    assert report["run_url"].endswith(report["run"])
    assert (report["additions"], report["changes"], report["destructions"]) == (3, 2, 1)
    assert report["status"] == "planned"
    assert SUMMARY in said.err


def test_plan_only_and_auto_apply_exclude_one_another(command: Command, service: Service, exported: Path) -> None:
    said = push(command, exported, "--plan-only", "--auto-apply")
    assert said.code == 1
    assert "--plan-only and --auto-apply exclude one another" in said.err
    assert not service.asked


def test_a_command_that_the_workers_may_lack_is_pointed_out(
    command: Command, service: Service, exported: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "terraform"))
    place = folder / "stacks" / "aws-example" / "cdk.tf.json"
    body = json.loads(place.read_text())
    body["provider"]["helm"][0]["kubernetes"]["exec"] = {"command": "aws"}
    place.write_text(json.dumps(body))
    warning = (
        "aws-example: warning: Helm calls `aws`, which HCP Terraform's own workers may lack; cluster.authentication"
    )
    assert warning in push(command, folder).err
    assert "warning" not in push(command, exported).err


# ---- the plan is read before it is applied

STOP: Body = {
    **CHANGES,
    "resource_changes": [
        {
            "address": "aws_s3_bucket.storage_bucket_F6D6CBD3",
            "mode": "managed",
            "type": "aws_s3_bucket",
            "change": {"actions": ["delete"], "before": {"bucket": "acme-xcom"}, "after": None},
        }
    ],
}


@pytest.fixture
def applies(service: Service) -> Service:
    service.story = [PLANNED, APPLIED]
    return service


def test_what_the_plan_does_is_said(command: Command, service: Service, exported: Path) -> None:
    service.json_plan = STOP
    said = push(command, exported)
    assert said.code == 2
    assert "aws-example: STOP: something is lost for good" in said.err
    assert "  STOP storage-destroyed\n" in said.err


def test_a_plan_is_read_and_then_confirmed(command: Command, applies: Service, exported: Path) -> None:
    said = push(command, exported, "--auto-apply", "--json")
    report = json.loads(said.out)
    assert (said.code, report["result"]) == (0, "applied")
    assert report["forecast"] == {"kind": "fine", "effects": []}
    (run,) = applies.runs.values()
    assert run["attributes"]["auto-apply"] is False
    assert applies.asked.index("read json plan's file") < applies.asked.index("confirm")


@pytest.mark.parametrize(
    ("plan", "options", "text"),
    [
        (STOP, [], "not applied, for it STOPs (--allow storage-destroyed applies it all the same); changes planned"),
        (STOP, ["--allow", "path-changed"], "not applied, for it STOPs (--allow storage-destroyed"),
        (STOP, ["--allow", "plan-unread"], "not applied, for it STOPs (--allow storage-destroyed"),
        (
            CHANGES,
            ["--allow", "path-changed"],
            'not applied: --allow "path-changed": is no STOP of this plan; there is none',
        ),
        (None, [], "not applied, for it STOPs (--allow plan-unread applies it all the same)"),
        ({"a": "plan of another kind"}, [], "not applied, for it STOPs (--allow plan-unread"),
        ({**CHANGES, "output_changes": {}}, [], "not applied, for it STOPs (--allow plan-unread"),
    ],
)
def test_a_stop_is_applied_only_when_it_is_asked_for_by_name(
    plan: Body | None, options: list[str], text: str, command: Command, applies: Service, exported: Path
) -> None:
    applies.json_plan = plan
    said = push(command, exported, "--auto-apply", *options)
    assert said.code == 2
    assert text in said.out.splitlines()[-1]
    assert "the run waits for somebody to confirm it" in said.out
    assert not applies.confirmed


@pytest.mark.parametrize(
    ("plan", "codes"),
    [(STOP, ["storage-destroyed"]), (STOP, ["storage-destroyed", "plan-unread"]), (None, ["plan-unread"])],
)
def test_what_is_allowed_is_applied(
    plan: Body | None, codes: list[str], command: Command, applies: Service, exported: Path
) -> None:
    applies.json_plan = plan
    said = push(command, exported, "--auto-apply", *(f"--allow={code}" for code in codes))
    assert (said.code, applies.confirmed) == (0, set(applies.runs))


def test_a_token_that_may_not_read_the_plan_is_told_so(command: Command, service: Service, exported: Path) -> None:
    service.json_plan = None
    said = push(command, exported)
    assert said.code == 2
    assert "STOP plan-unread" in said.err
    assert "HCP Terraform shows it to tokens that may administer the workspace." in " ".join(said.err.split())


def test_a_plan_of_a_stack_without_its_settings_is_not_read(
    command: Command, applies: Service, exported: Path, tmp_path: Path
) -> None:
    said = push(command, exported, "--auto-apply", "--file", tmp_path / "deployments.yaml")
    assert (said.code, applies.confirmed) == (2, set())
    assert "deployments.yaml" in said.err
    assert "--allow plan-unread" in said.out


def test_nobody_waits_for_a_plan_that_is_applied_at_once(command: Command, applies: Service, exported: Path) -> None:
    said = push(command, exported, "--auto-apply", "--no-wait")
    assert said.code == 1
    assert "--no-wait --auto-apply: nobody would read the plan before it is applied; try --allow plan-unread" in (
        said.err
    )
    assert not applies.asked
    assert push(command, exported, "--auto-apply", "--no-wait", "--allow", "plan-unread").code == 0
    assert [run["attributes"]["auto-apply"] for run in applies.runs.values()] == [True]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", ["read json plan", "confirm"])
def test_a_passing_fault_confirms_once(
    step: str, fault: str, command: Command, applies: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applies.faults = {step: [fault, fault]}
    if "slow" in fault:
        monkeypatch.setattr(api, "PATIENCE", HASTY)
    said = push(command, exported, "--auto-apply")
    assert said.code == 0, said.err
    assert applies.confirmed == set(applies.runs)


def test_a_run_that_cannot_be_confirmed_says_where_to_look(command: Command, applies: Service, exported: Path) -> None:
    applies.faults = {"confirm": ["500*"]}
    said = push(command, exported, "--auto-apply")
    assert said.code == 1
    assert "the run may wait for somebody to confirm it: https://" in said.err.splitlines()[-1]


# ---- workspace and project


def test_project_and_workspace_are_made_once(command: Command, service: Service, exported: Path) -> None:
    for _ in range(2):
        push(command, exported)
    (project,) = service.projects.values()
    (workspace,) = service.workspaces.values()
    assert project["attributes"]["name"] == "Data"
    assert workspace["attributes"]["name"] == "aws-example"
    assert workspace["relationships"]["project"]["data"]["id"] == project["id"]
    assert len(service.runs) == 2


def test_a_stack_without_a_workspace_goes_where_the_options_say(
    command: Command, service: Service, exported: Path
) -> None:
    options = ("--organization", "acme", "--workspace", "xcom", "--hostname", service.hostname)
    said = push(command, exported, *options, stack="azure-example")
    assert said.code == 2
    assert [one["attributes"]["name"] for one in service.workspaces.values()] == ["xcom"]
    assert not service.projects


def test_a_stack_without_a_workspace_asks_for_the_organization(
    command: Command, service: Service, exported: Path
) -> None:
    said = push(command, exported, stack="gcp-example")
    assert said.code == 1
    assert "gcp-example: --organization: is needed" in said.err
    assert not service.asked


def test_options_cannot_lead_a_stack_to_another_workspace(command: Command, service: Service, exported: Path) -> None:
    said = push(command, exported, "--workspace", "other", "--organization", "b@d")
    assert said.code == 1
    assert '--workspace: must be what the stack says ("aws-example"), or left out; got "other"' in said.err
    assert '--organization: must be what the stack says ("acme"), or left out; got "b@d"' in said.err
    assert not service.asked


def test_an_unknown_organization_is_not_found(command: Command, service: Service, exported: Path) -> None:
    service.organization = "another"
    said = push(command, exported)
    assert said.code == 1
    assert "organizations/acme/projects: not found (404: it does not exist, or the token may not see it" in said.err


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"execution-mode": "local"}, "only keeps state (execution mode local)"),
        ({"vcs-repo": {"identifier": "acme/data"}}, "is connected to a repository"),
        (
            {"working-directory": "terraform/stacks/x"},
            'has a working directory, and the upload has its files at the root; got "terraform/stacks/x"',
        ),
    ],
)
def test_a_workspace_that_cannot_run_the_upload_is_refused(
    attributes: Body, text: str, command: Command, service: Service, exported: Path
) -> None:
    service.workspaces["ws-1"] = {"id": "ws-1", "attributes": {"name": "aws-example", **attributes}}
    said = push(command, exported)
    assert said.code == 1
    assert f"workspace aws-example: {text}" in said.err
    assert not service.versions


def test_a_workspace_of_another_project_is_refused(command: Command, service: Service, exported: Path) -> None:
    related = {"project": {"data": {"type": "projects", "id": "prj-other"}}}
    service.workspaces["ws-1"] = {"id": "ws-1", "attributes": {"name": "aws-example"}, "relationships": related}
    said = push(command, exported)
    assert said.code == 1
    assert "is in another project than Data" in said.err


def test_a_connected_workspace_takes_a_plan_only_run(command: Command, service: Service, exported: Path) -> None:
    attributes = {"name": "aws-example", "vcs-repo": {"identifier": "acme/data"}, "locked": True}
    service.workspaces["ws-1"] = {"id": "ws-1", "attributes": attributes}
    said = push(command, exported, "--plan-only")
    assert len(service.runs) == 1
    assert "workspace aws-example is locked: the run waits until somebody unlocks it" in said.err


# ---- variables


def variables(service: Service) -> dict[str, tuple[str, bool, str]]:
    found = [one["attributes"] for one in service.variables.values()]
    return {one["key"]: (one["value"], one["sensitive"], one["category"]) for one in found}


def test_variables_come_from_the_environment(
    command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFC_AWS_PROVIDER_AUTH", "true")
    monkeypatch.setenv("ARM_CLIENT_SECRET", "hidden-value")
    options = ("--env", "TFC_AWS_PROVIDER_AUTH", "--sensitive-env", "ARM_CLIENT_SECRET")
    for _ in range(2):
        said = push(command, exported, *options)
        assert said.code == 2
        assert "hidden-value" not in said.out + said.err
    assert variables(service) == {
        "TFC_AWS_PROVIDER_AUTH": ("true", False, "env"),
        "ARM_CLIENT_SECRET": ("hidden-value", True, "env"),
    }
    changed = service.asked.count("change variable")
    assert changed == 2, "only what cannot be read is set again"


def test_a_changed_value_is_set_and_a_sensitive_variable_stays_so(
    command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id_, name, sensitive in (("var-1", "PLAIN", False), ("var-2", "HIDDEN", True)):
        attributes = {"key": name, "value": "old", "category": "env", "sensitive": sensitive}
        service.variables[id_] = {"id": id_, "type": "vars", "attributes": attributes}
        monkeypatch.setenv(name, "new")
    assert push(command, exported, "--env", "PLAIN", "--env", "HIDDEN").code == 2
    assert variables(service) == {"PLAIN": ("new", False, "env"), "HIDDEN": ("new", True, "env")}


def test_variables_that_are_not_set_or_look_secret_are_refused(
    command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.delenv("ABSENT", raising=False)
    said = push(command, exported, "--env", "ABSENT", "--env", "AWS_SECRET_ACCESS_KEY")
    assert said.code == 1
    assert "--env ABSENT: is not set in the environment" in said.err
    assert "--env AWS_SECRET_ACCESS_KEY: looks like a secret; try --sensitive-env AWS_SECRET_ACCESS_KEY" in said.err
    assert not service.asked


# ---- faults

HASTY = dataclasses.replace(QUICK, request=0.2)
"""For answers that never come; the others have all the time they need."""
STEPS = (
    "find project",
    "make project",
    "find workspace",
    "make workspace",
    "list variables",
    "make variable",
    "change variable",
    "make version",
    "upload",
    "read version",
    "make run",
    "read run",
    "read plan",
)


def push_all_steps(command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    attributes = {"key": "OLD", "value": "x", "category": "env", "sensitive": False}
    service.variables["var-1"] = {"id": "var-1", "type": "vars", "attributes": attributes}
    monkeypatch.setenv("OLD", "1")
    monkeypatch.setenv("NEW", "1")
    return push(command, exported, "--env", "OLD", "--env", "NEW")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_passing_fault_changes_nothing(
    step: str, fault: str, command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.faults = {step: [fault, fault]}
    if "slow" in fault:
        monkeypatch.setattr(api, "PATIENCE", HASTY)
    said = push_all_steps(command, service, exported, monkeypatch)
    assert said.code == 2, said.err
    assert len(service.faults[step]) < 2
    assert (len(service.projects), len(service.workspaces), len(service.runs)) == (1, 1, 1)
    assert sorted(variables(service).items()) == [("NEW", ("1", False, "env")), ("OLD", ("1", False, "env"))]
    (run,) = service.runs.values()
    assert run["relationships"]["configuration-version"]["data"]["id"] in service.archives
    assert SUMMARY in said.out


@pytest.mark.parametrize("fault", ["429", "500", "dropped"])
@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_fault_that_stays_ends_in_one_message(
    step: str, fault: str, command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.faults = {step: [f"{fault}*"]}
    said = push_all_steps(command, service, exported, monkeypatch)
    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert f"{service.hostname} did not do it in 4 attempts" in last
    assert last.rpartition(" ")[2].startswith(f"https://{service.hostname}/app/acme/workspaces/aws-example")
    assert ("the run continues: https://" in last) == (step == "read run")
    assert len(service.runs) == (step == "read run")


@pytest.mark.parametrize("step", ["find workspace", "change variable", "make version", "read version", "read run"])
def test_an_answer_that_never_comes_ends_in_one_message(
    step: str, command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.faults = {step: ["slow after it was done*"]}
    monkeypatch.setattr(api, "PATIENCE", HASTY)
    said = push_all_steps(command, service, exported, monkeypatch)
    assert said.code == 1
    assert f"{service.hostname} did not do it in 4 attempts: " in said.err
    assert ": The read operation timed out" in said.err
    assert len(service.runs) == (step == "read run")


def test_a_plan_that_cannot_be_read_does_not_change_the_result(
    command: Command, service: Service, exported: Path
) -> None:
    service.faults = {"read plan": ["500*"]}
    said = push(command, exported)
    assert said.code == 2
    assert "the plan cannot be read" in said.err


@pytest.mark.parametrize("fault", ["dropped after it was done", "500 after it was done"])
@pytest.mark.parametrize("options", [[], ["--plan-only"]])
def test_a_run_whose_answer_got_lost_is_found_not_made_again(
    fault: str, options: list[str], command: Command, service: Service, exported: Path
) -> None:
    service.faults = {"make run": [f"{fault}*"]}
    said = push(command, exported, *options)
    assert said.code == 2
    assert service.asked.count("make run") == 1
    assert len(service.runs) == 1


def test_an_unknown_outcome_of_the_run_names_where_to_look(command: Command, service: Service, exported: Path) -> None:
    service.faults = {"make run": ["dropped*"]}
    said = push(command, exported)
    assert said.code == 1
    assert f"whether there is a run nevertheless: https://{service.hostname}/app/acme/workspaces/aws-example/runs" in (
        said.err
    )


def test_an_upload_that_is_not_accepted_makes_no_run(command: Command, service: Service, exported: Path) -> None:
    real = service.do_read_version

    def errored(*arguments: object) -> tuple[int, Body]:
        status, document = real(*arguments)  # type: ignore[arg-type, misc]
        document["data"]["attributes"].update({"status": "errored", "error-message": "not a slug"})
        return status, document

    service.do_read_version = errored  # type: ignore[method-assign, assignment]
    said = push(command, exported)
    assert said.code == 1
    assert "the upload was not accepted: not a slug" in said.err
    assert not service.runs


def test_a_server_that_is_not_there(
    command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = push(command, exported, "--organization", "acme", "--hostname", "localhost:1", stack="gcp-example")
    assert said.code == 1
    assert "localhost:1 did not do it in 4 attempts" in said.err


def test_a_server_that_is_something_else(command: Command, service: Service, exported: Path) -> None:
    service.do_find_project = lambda *_: (200, {"hello": "world"})  # type: ignore[method-assign]
    said = push(command, exported)
    assert said.code == 1
    assert "answered with something else than JSON:API: is it HCP Terraform?" in said.err


# ---- answers that are not those of the documented API

HTML = "<html>Welcome</html>"
ODD = {
    "{}": {},
    '{"data": {}}': {"data": {}},
    "null": {"data": None},
    "a number": {"data": {"id": 1}},
    "no attributes": {"data": {"id": "x", "attributes": 7}},
}
READ = [step for step in STEPS if step not in ("upload", "change variable", "read plan")]
"""The steps whose answers decide what comes next."""
ONLY_THE_ID = ("make project", "make workspace", "make run")
"""Is read there."""


def answer(service: Service, step: str, content: object) -> None:
    setattr(service, "do_" + step.replace(" ", "_"), lambda *_: (200, content))


@pytest.mark.parametrize(
    ("step", "content"),
    [
        (step, content)
        for step in READ
        for content in (*ODD.values(), HTML)
        if content is not ODD["no attributes"] or step not in ONLY_THE_ID
    ],
)
def test_an_odd_answer_ends_in_one_sentence_and_a_document(
    step: str, content: object, command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(service, step, content)
    monkeypatch.setenv("NEW", "1")
    said = push(command, exported, "--env", "NEW", "--json")
    report = json.loads(said.out)
    assert said.code == report["exit_code"] == 1
    assert re.match(r"(GET|POST) [a-z][\w/.-]+: ", report["result"]), report["result"]
    assert "was not understood: " in report["result"] or "something else than JSON:API" in report["result"]
    assert report["result"] in said.err.splitlines()[-1]
    assert ("the run continues" in report["result"]) == (step == "read run")
    assert ("whether there is a run nevertheless" in report["result"]) == (step == "make run")


def test_a_missing_attribute_is_named(command: Command, service: Service, exported: Path) -> None:
    service.do_read_run = lambda *_: (200, {"data": {"id": "run-1", "attributes": {}}})  # type: ignore[method-assign]
    said = push(command, exported, "--json")
    (run,) = service.runs
    assert json.loads(said.out)["result"] == (
        f"GET runs/{run}: the answer of {service.hostname} was not understood: it has no 'status'; the run continues"
    )


@pytest.mark.parametrize("step", ["change variable", "read plan", "upload"])
@pytest.mark.parametrize("content", [*ODD.values(), HTML], ids=[*ODD, "html"])
def test_an_odd_answer_where_little_is_read_leaves_no_traceback(
    step: str, content: object, command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if step == "upload":
        service.log = content if isinstance(content, str) else json.dumps(content)
    else:
        answer(service, step, content)
    attributes = {"key": "OLD", "value": "x", "category": "env", "sensitive": False}
    service.variables["var-1"] = {"id": "var-1", "type": "vars", "attributes": attributes}
    monkeypatch.setenv("OLD", "1")
    said = push(command, exported, "--env", "OLD", "--json")
    refused = step == "change variable" and content != ODD["no attributes"]
    assert said.code == json.loads(said.out)["exit_code"] == (1 if refused else 2)
    assert ("the plan cannot be read: " in said.err) == (step == "read plan")


@pytest.mark.parametrize("url", ["", "nonsense", "https://[", 7])
def test_an_upload_url_that_is_none_ends_in_one_sentence(
    url: object, command: Command, service: Service, exported: Path
) -> None:
    answer(service, "make version", {"data": {"id": "cv-1", "attributes": {"upload-url": url}}})
    real = {"data": {"id": "cv-1", "attributes": {"status": "pending"}}}
    answer(service, "read version", real)
    said = push(command, exported, "--json")
    assert said.code == json.loads(said.out)["exit_code"] == 1
    assert not service.runs


# ---- the token


def test_without_a_token_nothing_is_asked(
    command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TFE_TOKEN")
    said = push(command, exported)
    assert said.code == 1
    assert f"there is no API token for {service.hostname}" in said.err
    assert not service.asked


@pytest.mark.parametrize("of_the_file", [True, False])
def test_tfe_token_does_not_follow_the_host_of_a_file(
    command: Command,
    service: Service,
    project: Path,
    exported: Path,
    monkeypatch: pytest.MonkeyPatch,
    of_the_file: bool,
) -> None:
    monkeypatch.delenv("TFE_ADDRESS")
    source = ("--file", project / "deployments.yaml") if of_the_file else ("--from", exported)
    said = command("push", "aws-example", *source)
    assert said.code == 1
    assert f"TFE_TOKEN is not sent to {service.hostname}, which only the stack names: set TF_TOKEN_" in said.err
    assert not service.asked
    assert command("push", "aws-example", *source, "--hostname", service.hostname).code == 2


def test_the_token_that_terraform_login_saved_is_used(
    command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TFE_TOKEN")
    place = tmp_path / ".terraform.d" / "credentials.tfrc.json"
    place.parent.mkdir()
    place.write_text(json.dumps({"credentials": {service.hostname: {"token": TOKEN}}}))
    assert push(command, exported).code == 2


def test_a_wrong_token_is_refused_at_once(command: Command, service: Service, exported: Path) -> None:
    service.token = "another"
    said = push(command, exported)
    assert said.code == 1
    assert "unauthorized (401: the token is not valid there, or no longer)" in said.err
    assert service.asked == ["find project"]


def test_a_token_that_the_server_repeats_stays_out_of_sight(command: Command, service: Service, exported: Path) -> None:
    answer = {"errors": [{"status": "403", "detail": f"Bearer {TOKEN} may not"}]}
    service.do_find_project = lambda *_: (403, answer)  # type: ignore[method-assign]
    said = push(command, exported)
    assert said.code == 1
    assert "Bearer *** may not (403: the token may not do this)" in said.err


# ---- interruption


@pytest.mark.parametrize(
    ("step", "text"), [("read run", "interrupted; the run continues: https://"), ("upload", "interrupted: ")]
)
def test_an_interrupted_push_names_the_run(step: str, text: str, service: Service, exported: Path) -> None:
    service.story = [{"status": "planning"}]
    if step == "upload":
        service.faults = {"upload": ["500*"]}
    # Whoever runs the tests in the background makes their children ignore Ctrl-C.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{listen}; from astro_xcom.cli.app import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "push", "aws-example", "--from", str(exported)],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while step not in service.asked and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert text in err.splitlines()[-1]
    assert TOKEN not in out + err
    assert UPLOAD_SECRET not in out + err
    assert "Traceback" not in err


def test_without_pytfe_the_extra_is_named(
    command: Command, service: Service, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = push(command, exported)
    assert said.code == 1
    assert "the extra `hcp` of this package" in said.err


# ---- what is uploaded


def test_the_upload_is_the_bundle(command: Command, service: Service, exported: Path, tmp_path: Path) -> None:
    push(command, exported)
    command("bundle", "aws-example", "--from", exported, "-o", tmp_path / "a.tar.gz")
    (uploaded,) = service.archives.values()
    assert uploaded == (tmp_path / "a.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(uploaded)) as tar:
        content = tar.extractfile("cdk.tf.json")
        assert content is not None
        assert content.read() == (exported / "stacks" / "aws-example" / "cdk.tf.json").read_bytes()


def test_the_patience_of_real_use_is_stated() -> None:
    assert api.RetryPolicy() == api.RetryPolicy(request=30, pauses=(1, 2, 4, 8, 15, 30), longest_pause=60, upload=300)


@pytest.mark.parametrize(("registry", "files"), [("registry.terraform.io", 2), ("registry.opentofu.org", 1)])
def test_checksums_of_opentofus_registry_stay_here(
    registry: str, files: int, command: Command, service: Service, exported: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "terraform"))
    lock = f'provider "{registry}/hashicorp/aws" {{\n  version = "6.25.0"\n}}\n'
    (folder / "stacks" / "aws-example" / ".terraform.lock.hcl").write_text(lock)
    said = push(command, folder)
    (uploaded,) = service.archives.values()
    with tarfile.open(fileobj=io.BytesIO(uploaded)) as tar:
        assert len([member for member in tar if member.isfile()]) == files
    assert ("is of OpenTofu's registry" in said.err) == (files == 1)
