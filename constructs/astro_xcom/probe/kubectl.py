"""Reads the probe's Jobs through kubectl, with the user's own context."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from astro_xcom.errors import SettingError

Run = Callable[[Sequence[str]], str]
AGAIN_SECONDS = 3
GIVEN_UP = ("error looking up service account", "exceeded quota", "forbidden")
"""What no waiting mends, in the events of a Job."""


def kubectl(options: Sequence[str]) -> Run:
    """Runs kubectl with these options in front. Raises SettingError with its message."""

    def run(arguments: Sequence[str]) -> str:
        command = ["kubectl", *options, *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)  # noqa: S603 - the user's own
        except FileNotFoundError:
            raise SettingError("--kubectl needs the command kubectl; try --report with a file of logs") from None
        except subprocess.TimeoutExpired:
            raise SettingError(f"kubectl does not answer: `{' '.join(command)}`") from None
        if done.returncode:
            raise SettingError(f"`{' '.join(command)}`: {done.stderr.strip()[:400]}")
        return done.stdout

    return run


def logs(run: Run, jobs: Mapping[str, str], *, minutes: float) -> tuple[str, dict[str, str]]:
    """All logs once every Job has ended, or the time is up; and, by account, why one has none.

    `jobs`: account -> Job.
    """
    until = time.monotonic() + minutes * 60
    waiting, texts, reasons = dict(jobs), [], {}
    while waiting:
        for account, job in list(waiting.items()):
            ended = _ended(run, job)
            reason = "" if ended else _reason(run, job)
            if ended or any(mark in reason for mark in GIVEN_UP) or time.monotonic() > until:
                del waiting[account]
                text = _log(run, job)
                texts.append(text)
                if '{"xcom_probe"' not in text:
                    reasons[account] = (
                        reason or _reason(run, job) or f"the Job {job} ended without a report: {text[-200:]}"
                    )
        if waiting:
            time.sleep(AGAIN_SECONDS)
    return "\n".join(texts), reasons


def _ended(run: Run, job: str) -> bool:
    conditions = json.loads(run(["get", "job", job, "--output=json"])).get("status", {}).get("conditions") or []
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def _log(run: Run, job: str) -> str:
    try:
        return run(["logs", "--pod-running-timeout=1s", f"job/{job}"])  # else kubectl waits for one that never comes
    except SettingError:
        return ""


def _reason(run: Run, job: str) -> str:
    """Why its pod does not run; empty when it does, or when that may not be read."""
    found: list[str] = []
    try:
        for pod in json.loads(run(["get", "pods", f"--selector=job-name={job}", "--output=json"]))["items"]:
            found += _of_pod(pod)
        events = json.loads(run(["get", "events", "--output=json"]))["items"]
        found += [
            str(each.get("message"))
            for each in events
            if each["involvedObject"].get("name", "").startswith(job) and each.get("type") == "Warning"
        ]
    except (SettingError, KeyError, ValueError):
        return "; ".join(found)
    return "; ".join(dict.fromkeys(found))


def _of_pod(pod: Any) -> list[str]:
    status = pod.get("status", {})
    found = []
    for container in status.get("containerStatuses") or ():
        state = container.get("state", {}).get("waiting")
        if state and state.get("reason") != "ContainerCreating":
            found.append(f"{state.get('reason')}: {state.get('message', '')}")
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "Unschedulable":
            found.append(str(condition.get("message")))
    return found
