"""The probe's Jobs as processes: the environment of their manifests, and the identity that the webhook gives."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from astro_xcom.probe.manifests import FOLDER, Probe, manifests
from e2e.agents import Pod, run_program
from e2e.world import Deployed, World
from support import Body


@dataclass
class Job:
    """A pod of the probe, as the API server would run it. Tests spoil it."""

    command: list[str]
    pod: Pod


def probe_of(deployed: Deployed, **options: Any) -> Probe:
    """Of an applied deployment."""
    run = deployed.run
    given = {"run": "run-1", "minutes": 5.0, **options}
    return Probe(name=deployed.name, values=run.agent_values, subjects=run.output("trusted_subjects"), **given)


def jobs(probe: Probe, accounts: Mapping[str, Mapping[str, str]]) -> dict[str, Job]:
    """By service account. `accounts`: the annotations of each service account in the cluster."""
    found = {}
    for document in manifests(probe)[1:]:
        template = document["spec"]["template"]
        (container,) = template["spec"]["containers"]
        account = template["spec"]["serviceAccountName"]
        found[account] = Job(
            command=[*container["command"], *container["args"]],
            pod=Pod(
                env={entry["name"]: entry["value"] for entry in container["env"] if "value" in entry},
                labels=template["metadata"]["labels"],
                namespace=document["metadata"]["namespace"],
                service_account=account,
                service_account_annotations=accounts.get(account, {}),
            ),
        )
    return found


def accounts_of(deployed: Deployed) -> dict[str, Mapping[str, str]]:
    """The annotations of each service account, by name; of one that others create, what `check` tells them."""
    made: dict[str, Mapping[str, str]] = {
        each["metadata"]["name"]: each["metadata"].get("annotations", {})
        for each in deployed.objects
        if each["kind"] == "ServiceAccount"
    }
    names = [subject.rpartition(":")[2] for subject in deployed.run.output("trusted_subjects")]
    others: Mapping[str, str] = deployed.run.agent_values["annotations"]
    return {name: made.get(name, others) for name in names}


def run_jobs(world: World, running: Mapping[str, Job], config: Body, **env: str) -> str:
    """The logs of all, run at the same time."""
    folder = world.folder / "probe"
    folder.mkdir(exist_ok=True)
    for name, text in config["data"].items():
        (folder / name).write_text(text)

    def run(job: Job) -> str:
        home = world.folder / job.pod.service_account
        environment = {**world.environment(job.pod), **env}
        command = [job.command[1].replace(FOLDER, str(folder)), *job.command[2:], "--pause=0.2"]
        return run_program(world.airflow, command, environment, home)

    world.airflow.imported()  # before all want it
    with ThreadPoolExecutor(len(running)) as pool:
        return "\n".join(pool.map(run, running.values()))
