"""One pod of the probe: writes XComs as this service account, reads what every other pod wrote, and purges its own.

It runs in the agents' image with the agents' environment, without Airflow's database: on the class that Airflow itself
uses. The pods find each other's objects below the XCom path. The last line on stdout is JSON, for
`astro-xcom probe NAME --report`; the same in sentences goes to stderr.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any

from xcom_causes import (
    CAUSES,
    LARGEST,
    SECTION,
    STATE,
    STATE_PATH,
    asked,
    base_path,
    cause,
    is_path,
    keeps_state,
    problem,
    reason,
    said,
    scheme,
    setting,
    unreported,
    values,
    why_a_path,
    wrong_settings,
)

DAG_ID = "xcom_probe"
HAND_OVER = "return_value"
"""The value of a process that ends at once, as a task's does: only that shows whether an upload outlives it."""


class TimeUp(BaseException):
    """No Exception: some clients catch those, and go on."""


class Probe:
    """What one pod does."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.me, self.others = options.account, [each for each in options.accounts if each != options.account]
        self.run, self.old, self.pause = options.run, options.old, options.pause
        self.minutes, self.until = options.minutes, 0.0
        self.where = base_path()
        self.stored: dict[str, Any] = {}
        self.state: Any = None
        self.problems: dict[str, list[str]] = {}
        self.read = 0
        self.purged = 0
        self.left: list[str] = []

    # ----- writing and reading -----

    @cached_property
    def xcom(self) -> Any:
        """The class that Airflow would use."""
        from airflow.sdk.execution_time.xcom import resolve_xcom_backend

        return resolve_xcom_backend()

    def write(self, name: str, value: Any) -> Any:
        """What Airflow would keep in its database."""
        where = {"dag_id": DAG_ID, "run_id": self.run, "task_id": f"{self.me}.{name}"}
        stored = self.xcom.serialize_value(value, key=name, map_index=-1, **where)
        self.stored[name] = stored
        return stored

    def pull(self, stored: Any) -> Any:
        """What a task would receive."""
        return self.xcom.deserialize_value(SimpleNamespace(value=stored))

    def found(self, account: str, name: str) -> str | None:
        """The object of another pod, if it is there yet."""
        return next(iter(self.below(f"{account}.{name}")), None)

    def below(self, name: str = "") -> list[str]:
        """The objects of this run below a folder, as Airflow's database has them."""
        folder = self.folder() / name if name else self.folder()
        folder.fs.invalidate_cache()
        inside = len(folder.path.rstrip("/")) + 1
        return [f"{str(folder).rstrip('/')}/{each[inside:]}" for each in sorted(folder.fs.find(folder.path))]

    def folder(self) -> Any:
        """Where the objects of this run are."""
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(base_path()) / DAG_ID / self.run

    # ----- one after the other -----

    def probe(self) -> None:
        """Everything but purging."""
        wrong = wrong_settings()
        for line in wrong:
            self.add("settings", line)
        if any("THRESHOLD" in line or "XCOM_BACKEND" in line or "PATH is" in line for line in wrong):
            return  # nothing would be stored, and nobody could be met
        self.limit()
        self.push()
        with suppress(Exception):  # why not, the writes said; and before them, no client may be made: they fork
            self.where = asked()
        self.keep_state()
        if self.old:
            with self.problems_of("the old object", "read"):
                if self.pull(self.old) == self.old:
                    self.add("the old object", f"{why_a_path(self.old, seen=True)}; path {self.old}")
        if not self.announced("index", {"stored": dict(self.stored), "state": self.state}):
            return
        self.limit()
        met = [account for account in self.others if self.meet(account)]
        if self.announced("done", True):
            for account in met:
                self.wait(partial(self.is_through, account))

    def is_through(self, account: str) -> bool:
        """Whether another pod has read everything: it says so, or has purged what it wrote."""
        return self.found(account, "done") is not None or self.found(account, "index") is None

    def limit(self) -> None:
        """Let what comes next take the given time; what waits for others gives up in time to say so."""
        self.until = time.monotonic() + self.minutes * 60
        signal.setitimer(signal.ITIMER_REAL, self.minutes * 60 + 60)

    def push(self) -> None:
        """Write every value, and read it back."""
        self.hand_over()
        for name, value in values().items():
            with self.problems_of(name, "pushed"):
                with unreported() as errors:
                    got = self.pull(self.write(name, value))
                if is_path(got) and errors:
                    hidden = cause(reason(RuntimeError(errors[0])), scheme())
                    self.add(name, f"its upload failed, and Airflow said nothing: {hidden}")
                elif wrong := problem(name, got, value, seen=False):
                    self.add(name, wrong.partition(": ")[2])

    def hand_over(self) -> None:
        """Let a process that ends at once write a value, forked as Airflow forks a task's."""
        _ = self.xcom
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                answer = {"stored": self.write(HAND_OVER, LARGEST)}
            except BaseException as error:
                answer = {"error": cause(reason(error), scheme())}
            os.write(writer, json.dumps(answer).encode())
            os._exit(0)
        os.close(writer)
        try:
            with os.fdopen(reader, "rb") as told:
                text = told.read()
        except TimeUp:
            os.kill(child, signal.SIGKILL)
            raise
        finally:
            os.waitpid(child, 0)
        answer = json.loads(text or '{"error": "its process was killed"}')
        if "error" in answer:
            self.add(HAND_OVER, f"cannot be pushed: {answer['error']}")
            return
        stored = self.stored[HAND_OVER] = answer["stored"]
        with self.problems_of(HAND_OVER, "pulled"):
            if wrong := problem(HAND_OVER, self.pull(stored), LARGEST, seen=False):
                self.add(HAND_OVER, wrong.partition(": ")[2])

    def keep_state(self) -> None:
        """The same with the state store, if there is one."""
        if not (keeps_state() and setting("workers.state_store_backend")):
            return
        with self.problems_of("state store", "written"):
            with unreported() as errors:
                self.state = self.store().serialize_task_state_store_to_ref(
                    value=STATE, key="probe", scope=self.scope(self.me)
                )
                got = self.store().deserialize_task_state_store_from_ref(self.state)
            if errors:
                self.add("state store", f"its upload failed, and Airflow said nothing: {cause(errors[0], scheme())}")
            elif got != STATE:
                self.add("state store", f"another value came back: {str(got)[:80]!r}")

    def store(self) -> Any:
        """The state store's class, made."""
        from airflow.sdk.configuration import conf

        return conf.getimport("workers", "state_store_backend")()

    def scope(self, account: str) -> Any:
        """Of a pod's state."""
        from airflow.sdk.state import TaskScope

        return TaskScope(dag_id=DAG_ID, run_id=self.run, task_id=account)

    def announced(self, name: str, what: Any) -> bool:
        """Write something that others look for, large enough to be stored."""
        padding = "x" * int(setting(f"{SECTION}.xcom_objectstorage_threshold", "0"))
        with self.problems_of(name, "written"):
            self.write(name, {"what": what, "padding": padding})
            return True
        return False

    def meet(self, account: str) -> bool:
        """Read what another pod wrote, once it is there."""
        with self.problems_of(f"from {account}", "read"):
            index = self.wait(lambda: self.found(account, "index"))
            if index is None:
                self.add(f"from {account}", f"nothing came within {self.minutes:g} minutes: its pod did not "
                         "start, could not write, or writes below another path; see its own report")  # fmt: skip
                return False
            told = self.pull(index)
            if not isinstance(told, dict):
                self.add(f"from {account}", f"cannot be read: {why_a_path(index, seen=True)}")
                return True
            expected = {HAND_OVER: LARGEST, **values()}
            for name, stored in told["what"]["stored"].items():
                with self.problems_of(f"{name} from {account}", "pulled"):
                    wrong = problem(name, self.pull(stored), expected[name], seen=name != HAND_OVER)
                    if wrong:
                        self.add(f"{name} from {account}", wrong.partition(": ")[2])
                    else:
                        self.read += 1
            if told["what"]["state"] is not None and keeps_state():
                got = self.store().deserialize_task_state_store_from_ref(told["what"]["state"])
                if got != STATE:
                    self.add(f"state store from {account}", f"another value came back: {str(got)[:80]!r}")
            return True
        return False

    def wait(self, look: Callable[[], Any]) -> Any:
        """What it finds; None when the time is up."""
        while not (found := look()) and time.monotonic() < self.until:
            time.sleep(self.pause)
        return found or None

    def purge(self) -> None:
        """Remove every object of this pod, and see that it is gone."""
        mine = {str(stored) for stored in self.stored.values() if is_path(stored)}
        with suppress(Exception):
            front = f"{str(self.folder()).rstrip('/')}/{self.me}."
            mine.update(each for each in self.below() if each.startswith(front))
        for stored in sorted(mine):
            self.remove(stored, partial(self.xcom.purge, SimpleNamespace(value=stored)))
        if self.state is not None and "://" in self.state:
            self.remove(self.state, lambda: self.store().delete(self.scope(self.me), "probe"))
        if self.left:
            self.add("purge", f"{len(self.left)} objects are still there: the identity may not delete, and a cleared "
                     f"task leaves its objects behind; the first is {self.left[0]}")  # fmt: skip

    def remove(self, stored: str, purge: Callable[[], Any]) -> None:
        """As Airflow does; and where that is refused, without looking first."""
        from airflow.sdk import ObjectStoragePath

        path = ObjectStoragePath(stored)
        with self.problems_of("purge", "purged"):
            purge()
        with suppress(Exception):
            if self.is_gone(path):
                self.purged += 1
                return
        try:
            path.fs.rm_file(path.path)
            self.purged += 1
        except Exception:
            self.left.append(stored)

    def is_gone(self, path: Any) -> bool:
        """Whether an object is gone, however that was answered before."""
        path.fs.invalidate_cache()
        return not path.exists()

    # ----- findings -----

    def add(self, name: str, text: str) -> None:
        """A problem; the same one of several values is told once."""
        alike = text.partition(" (")[0].partition("; path ")[0]
        names = self.problems.setdefault(alike, [text])
        names.append(name)

    @contextmanager
    def problems_of(self, name: str, done: str) -> Iterator[None]:
        """Turns an error into a problem."""
        try:
            yield
        except Exception as error:
            self.add(name, f"cannot be {done}: {cause(reason(error), scheme())}")

    def sentences(self) -> list[str]:
        """Every problem."""
        return [f"{', '.join(dict.fromkeys(names))}: {text}" for text, *names in self.problems.values()]

    def report(self) -> dict[str, Any]:
        """What is printed."""
        from airflow import __version__

        return {
            "xcom_probe": 1,
            "run": self.run,
            "account": self.me,
            "airflow": __version__,
            "path": self.where,
            "state_store": setting(STATE_PATH) if keeps_state() else None,
            "wrote": sum(map(is_path, self.stored.values())),
            "read": self.read,
            "purged": self.purged,
            "left": self.left,
            "problems": self.sentences(),
        }


def time_is_up(*_: Any) -> None:
    """For a signal: raises in whatever waits."""
    raise TimeUp


def main() -> None:
    """Run the probe, or its process that ends at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--account", required=True)
    parser.add_argument("--accounts", required=True, type=lambda text: text.split(","))
    parser.add_argument("--run", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pause", type=float, default=2)
    parser.add_argument("--old", default="")
    options = parser.parse_args()
    probe = Probe(options)
    signal.signal(signal.SIGALRM, time_is_up)
    signal.signal(signal.SIGTERM, time_is_up)
    try:
        with probe.problems_of("probe", "run"):
            probe.probe()
    except TimeUp:
        probe.add("probe", f"no answer within {options.minutes:g} minutes: {said(CAUSES['no answer'], scheme())}")
    signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        probe.purge()
    except TimeUp:
        probe.add("purge", f"no answer within a minute: {said(CAUSES['no answer'], scheme())}")
    report = probe.report()
    for line in report["problems"]:
        sys.stderr.write(f"- {line}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(1, b"\n" + json.dumps(report).encode() + b"\n")
    os._exit(1 if report["problems"] else 0)  # at once: a client's threads may never end


if __name__ == "__main__":
    main()
