"""Uploads a stack to its workspace and follows the run."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

from astro_xcom.errors import AstroXComError, SettingError, SettingErrors
from astro_xcom.hcp.api import Api, Failed, Json
from astro_xcom.hcp.run import CHANGES, ERROR, UNCHANGED, Verdict, verdict
from astro_xcom.hcp.target import Target
from astro_xcom.json_files import OTHER_SHAPE, parse_json
from astro_xcom.plan import UNREAD, Forecast, text, unread

Found = TypeVar("Found")
VERSIONS = "configuration-versions"
OPERATIONS = "plan_and_apply,plan_only,save_plan,refresh_only,destroy,empty_apply"
"""All of them: a list of runs leaves plan-only ones out unless they are asked for."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """An environment variable of the workspace."""

    name: str
    value: str = field(repr=False)
    sensitive: bool


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run what is uploaded."""

    message: str
    variables: tuple[Variable, ...] = ()
    plan_only: bool = False
    auto_apply: bool = False
    """Confirm the run once its plan was read; without waiting, HCP Terraform applies it unread."""
    allowed: tuple[str, ...] = ()
    """Codes of STOPs to apply all the same."""
    wait: bool = True
    longest_wait: float = 3600
    """Seconds until the run is left to itself."""


@dataclass
class Report:
    """What came of a push, as `--json` prints it."""

    stack: str
    workspace_url: str
    archive_sha256: str
    exit_code: int = ERROR
    result: str = ""
    configuration_version: str | None = None
    run: str | None = None
    run_url: str | None = None
    status: str | None = None
    additions: int | None = None
    changes: int | None = None
    destructions: int | None = None
    imports: int | None = None
    forecast: Forecast | None = None
    """What the changes do to values and agents."""

    def as_json(self) -> str:
        """One document."""
        forecast = self.forecast.model_dump(mode="json") if self.forecast else None
        return json.dumps({**asdict(self), "forecast": forecast}, indent=2)

    def summary(self) -> str | None:
        """What the plan says, in Terraform's words."""
        if self.additions is None:
            return None
        imports = f"{self.imports} to import, " if self.imports else ""
        return f"Plan: {imports}{self.additions} to add, {self.changes} to change, {self.destructions} to destroy."


class Push:
    """One push. `report` tells at any time how far it came."""

    def __init__(
        self,
        api: Api,
        target: Target,
        stack: str,
        archive: bytes,
        *,
        forecast: Callable[[str], Forecast],
        advise: Callable[[str], list[str]],
        say: Callable[[str], None],
    ) -> None:
        self._api, self._target, self._archive, self._say, self._of = api, target, archive, say, forecast
        self._advise = advise
        digest = hashlib.sha256(archive).hexdigest()
        self.report = Report(stack=stack, workspace_url=target.url, archive_sha256=digest)

    def go(self, wishes: RunOptions) -> None:
        """Upload, run, follow.

        Raises Failed when the service does not do its part, and SettingError for a workspace that cannot take an
        upload.
        """
        self._api.until = time.monotonic() + wishes.longest_wait
        with self._api.reading():
            workspace = self._workspace(plan_only=wishes.plan_only)
            self._say(f"workspace: {self._target.url}")
            for variable in wishes.variables:
                self._set(workspace, variable)
            version = self._upload(workspace, speculative=wishes.plan_only)
            run = self._run(workspace, version, wishes)
        self._say(f"run: {self.report.run_url}")
        if wishes.wait:
            self._follow(run, wishes)
        else:
            self._end(Verdict(UNCHANGED, "the run is under way"))

    # ---- workspace

    def _workspace(self, *, plan_only: bool) -> str:
        """The id of the workspace, which is created if it does not exist."""
        project = self._project() if self._target.project else None
        found = self._find_workspace()
        if found is not None:
            self._check(found, project=project, plan_only=plan_only)
        else:
            attributes = {"name": self._target.workspace, "source-name": "astro-xcom"}
            relationships = {"project": ("projects", project)} if project else {}
            path = f"organizations/{self._target.organization}/workspaces"
            found = self._api.make(path, document("workspaces", attributes, relationships), self._find_workspace)
            self._say(
                f"workspace {self._target.workspace} is new: HCP Terraform starts with an empty state. "
                "If the deployment had another name before, give its former workspace as state.hcp.workspace"
            )
        return str(found["id"])

    def _find_workspace(self) -> Json | None:
        path = f"organizations/{self._target.organization}/workspaces/{self._target.workspace}"
        try:
            found: Json = self._api.get(path)["data"]
        except Failed as error:
            if error.status != 404:
                raise
            return None
        return found

    def _project(self) -> str:
        path = f"organizations/{self._target.organization}/projects"
        wanted = str(self._target.project)

        def find() -> Json | None:
            found = self._api.get(path, **{"filter[names]": wanted})["data"]
            return next((one for one in found if one["attributes"]["name"].lower() == wanted.lower()), None)

        found = find() or self._api.make(path, document("projects", {"name": wanted}), find)
        return str(found["id"])

    def _check(self, workspace: Json, *, project: str | None, plan_only: bool) -> None:
        """Refuse a workspace that would not run the upload, or not as it was meant."""
        attributes = workspace["attributes"]
        where = f"workspace {self._target.workspace}"
        if attributes.get("execution-mode") == "local":
            hint = "remote or agent, in its settings; or cdktf deploy, which runs on this machine"
            raise SettingError(f"{where}: only keeps state (execution mode local), so nothing runs there", hint=hint)
        if attributes.get("vcs-repo") and not plan_only:
            hint = "--plan-only, or a commit to that repository"
            raise SettingError(
                f"{where}: is connected to a repository and applies only what is committed there", hint=hint
            )
        if attributes.get("working-directory"):
            raise SettingError(
                f"{where}: has a working directory, and the upload has its files at the root",
                got=attributes["working-directory"],
                hint="to empty it in the workspace's settings",
            )
        related = workspace.get("relationships", {}).get("project", {}).get("data") or {}
        if project and related.get("id") not in (None, project):
            raise SettingError(f"{where}: is in another project than {self._target.project}", hint="to move it there")
        if attributes.get("locked"):
            self._say(f"{where} is locked: the run waits until somebody unlocks it")

    def _set(self, workspace: str, variable: Variable) -> None:
        path = f"workspaces/{workspace}/vars"

        def find() -> Json | None:
            for one in self._api.get(path)["data"]:
                if one["attributes"]["key"] == variable.name and one["attributes"]["category"] == "env":
                    return dict(one)
            return None

        attributes: Json = {"key": variable.name, "value": variable.value, "category": "env", "hcl": False}
        found = find()
        if found is None:
            attributes["sensitive"] = variable.sensitive
            found = self._api.make(path, document("vars", attributes), find)
        # Also right after it was made: what `find` came upon then may be somebody else's.
        stays_sensitive = variable.sensitive or found["attributes"]["sensitive"]
        if stays_sensitive or found["attributes"]["value"] != variable.value:
            attributes["sensitive"] = stays_sensitive
            resource = {"id": found["id"], **document("vars", attributes)["data"]}
            self._api.patch(f"{path}/{found['id']}", {"data": resource})
        self._say(f"variable: {variable.name}{' (sensitive)' if stays_sensitive else ''}")

    # ---- upload

    def _upload(self, workspace: str, *, speculative: bool) -> str:
        """The id of a configuration version that holds the archive."""
        # Without auto-queue-runs an upload starts nothing, so both it and the version can be repeated without harm.
        attributes = {"auto-queue-runs": False, "speculative": speculative}
        path = f"workspaces/{workspace}/{VERSIONS}"
        made = self._api.make(path, document(VERSIONS, attributes), lambda: None)
        version = str(made["id"])
        self.report.configuration_version = version
        self._say(f"upload: {len(self._archive)} bytes, sha256 {self.report.archive_sha256}")

        def find() -> Json | None:
            found: Json = self._api.get(f"{VERSIONS}/{version}")["data"]
            if found["attributes"]["status"] == "errored":
                raise Failed(f"the upload was not accepted: {found['attributes'].get('error-message')}")
            return found if found["attributes"]["status"] == "uploaded" else None

        self._api.upload(made["attributes"]["upload-url"], self._archive, find)
        longest = self._api.patience.upload
        if self._until(find, longest=longest) is None:
            raise Failed(f"the upload was not unpacked within {longest:g} seconds")
        return version

    # ---- run

    def _run(self, workspace: str, version: str, wishes: RunOptions) -> str:
        """The id of the run of the upload."""
        # Given even when false: otherwise the workspace's own setting decides whether a plan is applied.
        unread = wishes.auto_apply and not wishes.wait
        attributes = {"message": wishes.message, "plan-only": wishes.plan_only, "auto-apply": unread}
        relationships = {"workspace": ("workspaces", workspace), "configuration-version": (VERSIONS, version)}

        def find() -> Json | None:
            runs = self._api.get(f"workspaces/{workspace}/runs", **{"filter[operation]": OPERATIONS})["data"]
            return next((run for run in runs if _version(run) == version), None)

        try:
            with self._api.reading():
                run = str(self._api.make("runs", document("runs", attributes, relationships), find)["id"])
        except Failed as error:
            if error.status is not None:
                raise
            raise Failed(f"{error}; whether there is a run nevertheless: {self._target.url}/runs") from None
        self.report.run, self.report.run_url = run, f"{self._target.url}/runs/{run}"
        return run

    def _follow(self, run: str, wishes: RunOptions) -> None:
        found = self._watch(run, wishes, confirmed=False)
        if found.exit_code == CHANGES:
            self.report.forecast = self._forecast(run)
            self._say(text(self.report.stack, self.report.forecast, wishes.allowed))
            if wishes.auto_apply:
                found = self._apply(run, wishes, found, self.report.forecast)
        self._read_plan(run)
        self._end(found)

    def _watch(self, run: str, wishes: RunOptions, *, confirmed: bool) -> Verdict:
        """How the run ends, or where it waits for a person."""

        def look() -> Verdict | None:
            attributes = self._api.get(f"runs/{run}")["data"]["attributes"]
            if attributes["status"] != self.report.status:
                self.report.status = attributes["status"]
                self._say(attributes["status"].replace("_", " "))
            return verdict(attributes, confirmed=confirmed)

        try:
            with self._api.reading():
                found = self._until(look, longest=wishes.longest_wait)
        except Failed as error:
            raise Failed(f"{error}; the run continues") from None
        return found or Verdict(ERROR, f"not done after {wishes.longest_wait:g} seconds; the run continues")

    def _forecast(self, run: str) -> Forecast:
        """What the plan of the run does; that it was not read, if the token may not read it."""
        longest = self._api.patience.upload
        try:
            with self._api.reading():
                document = self._until(lambda: self._api.json_plan(run), longest=longest)
        except Failed as error:
            return unread(f"{error}. HCP Terraform shows it to tokens that may administer the workspace")
        if document is None:
            return unread(f"HCP Terraform has not written it within {longest:g} seconds")
        try:
            return self._of(document)
        except AstroXComError as error:
            return unread(str(error))

    def _apply(self, run: str, wishes: RunOptions, found: Verdict, forecast: Forecast) -> Verdict:
        """Confirm the run, unless something would be lost that nobody allowed."""
        if not found.confirmable:
            return replace(found, text=f"the token may not apply; {found.text}")
        left = sorted(forecast.stops() - set(wishes.allowed))
        if left:
            codes = " ".join(f"--allow {code}" for code in left)
            return replace(found, text=f"not applied, for it STOPs ({codes} applies it all the same); {found.text}")
        try:
            forecast.check_allowed(code for code in wishes.allowed if code != UNREAD)
        except SettingErrors as error:
            return replace(found, text=f"not applied: {error}; {found.text}")

        def done() -> bool:
            return not self._api.get(f"runs/{run}")["data"]["attributes"].get("actions", {}).get("is-confirmable")

        try:
            with self._api.reading():
                self._api.act(f"runs/{run}/actions/apply", done)
        except Failed as error:
            raise Failed(f"{error}; the run may wait for somebody to confirm it") from None
        return self._watch(run, wishes, confirmed=True)

    def _read_plan(self, run: str) -> None:
        """What plan and apply say; without it the run's own state still stands."""
        report = self.report
        try:
            with self._api.reading():
                plan = self._api.get(f"runs/{run}/plan")["data"]["attributes"]
                report.additions, report.changes = plan.get("resource-additions"), plan.get("resource-changes")
                report.destructions, report.imports = plan.get("resource-destructions"), plan.get("resource-imports")
                applied = self._api.get(f"runs/{run}/apply")["data"]["attributes"] if report.status == "errored" else {}
                for phase in (plan, applied):
                    if phase.get("status") == "errored" and phase.get("log-read-url"):
                        said = errors(self._api.text(phase["log-read-url"]))
                        for line in (*said, *self._advise("\n".join(said))):
                            self._say(line)
        except Failed as error:
            self._say(f"the plan cannot be read: {error}")

    def _end(self, found: Verdict) -> None:
        self.report.exit_code, self.report.result = found.exit_code, found.text

    def _until(self, look: Callable[[], Found | None], *, longest: float) -> Found | None:
        """What `look` finds, or None if it finds nothing in time."""
        end = time.monotonic() + longest
        pauses = iter(self._api.patience.polls)
        pause = 0.0
        while (found := look()) is None and time.monotonic() < end:
            pause = next(pauses, pause)
            time.sleep(pause)
        return found


def document(kind: str, attributes: Json, relationships: Mapping[str, tuple[str, str]] | None = None) -> Json:
    """A JSON:API document with one resource; `relationships` holds (type, id)."""
    related = {name: {"data": {"type": of, "id": id_}} for name, (of, id_) in (relationships or {}).items()}
    return {"data": {"type": kind, "attributes": attributes, **({"relationships": related} if related else {})}}


def errors(log: str) -> list[str]:
    """The errors in a log of Terraform, which is JSON lines or plain text: then its end."""
    found = []
    for line in log.splitlines():
        try:
            diagnostic = parse_json(line)["diagnostic"]
            if diagnostic["severity"] == "error":
                found.append(f"Error: {diagnostic['summary']}: {diagnostic.get('detail', '')}".rstrip(": "))
        except OTHER_SHAPE:
            continue
    return found or log.splitlines()[-20:]


def _version(run: Json) -> str | None:
    related = run.get("relationships", {}).get("configuration-version", {}).get("data") or {}
    return related.get("id")
