"""The agent release: where it goes, and the user's own chart values."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from astro_xcom import chart_values, user_values
from astro_xcom.errors import SettingError, SettingErrors, attempt
from astro_xcom.rules import common
from astro_xcom.secret_text import holds_secret, url_holds_secret
from astro_xcom.service_accounts import ServiceAccount, service_accounts, subjects
from astro_xcom.settings.base import Count, DnsLabel, Flag, Settings, together
from astro_xcom.workers import Worker, with_others
from astro_xcom.yaml_files import read_mapping

CHART = "astro-remote-execution-agent"
CHART_REPOSITORY = "https://helm.astronomer.io"
INLINE = "agent.values"


class Kubeconfig(Settings):
    """A kubeconfig file on the machine that runs Terraform."""

    path: Annotated[str, Field(min_length=1)]
    """A relative path starts at the project's folder; `~` is the home folder."""
    context: Annotated[str, Field(min_length=1)] | None = None
    """Default: the file's current context."""


class ValuesFile(Settings):
    """A chart values file, read once when the settings are created."""

    path: str
    content: dict[str, Any]

    @property
    def source(self) -> chart_values.Source:
        """The content, named by its path."""
        return chart_values.Source(name=self.path, values=self.content)

    @classmethod
    def read(cls, path: str | Path, *, folder: Path | None = None) -> "ValuesFile":
        """Read a file as Helm would. Relative paths start at `folder`; the working directory by default."""
        return cls(path=str(path), content=read_mapping((folder or Path()) / path, name=str(path)))


def _read(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, ValuesFile):
        return value
    if not isinstance(value, (str, Path)) or not str(value):
        raise SettingError("must be the path of a YAML file, and must not be empty", got=value)
    return ValuesFile.read(value, folder=(info.context or {}).get("folder"))


def _without_login(value: str) -> str:
    """A URL or a name without a user, a password or a token: Terraform's state would hold them as plain text."""
    if re.search("://[^/?#]*@", value) or holds_secret(value) or url_holds_secret(value):
        raise SettingError(
            "must hold no user, password or token: Terraform's state would hold them as plain text",
            hint="helm repo add (or helm registry login for oci://) on the machine that runs Terraform, and chart: "
            f'"<its name there>/{CHART}"',
        )
    return value


class AgentSettings(Settings):
    """The Helm release `astro-remote-execution-agent`, or only its values."""

    namespace: DnsLabel
    """Kubernetes namespace of the release. Part of every trusted subject."""
    resource_name_prefix: Annotated[str, AfterValidator(common.resource_name_prefix)]
    """The chart's `resourceNamePrefix`: the name of every object of the release starts with it."""
    release: Flag = True
    """false: create everything except the Helm release; install the chart yourself with the output `agent_values`."""
    release_name: Annotated[str, AfterValidator(common.release_name)] = "astro-agent"
    chart: Annotated[str, Field(min_length=1), AfterValidator(_without_login)] = CHART
    """Chart name in the repository, an `oci://` reference, or a chart folder's path."""
    repository: Annotated[str, Field(min_length=1), AfterValidator(_without_login)] | None = CHART_REPOSITORY
    """Repository of a chart that is given by name. If the repository requires a login, use `helm repo add` on the
    machine that runs Terraform, and `chart: <its name there>/astro-remote-execution-agent`. For `oci://` use
    `helm registry login`."""
    chart_version: Annotated[str, AfterValidator(common.chart_version)] = "2.3.3"
    create_namespace: Flag = False
    """true: Helm creates the namespace. false: the namespace must exist, with the secrets that the values name."""
    timeout_seconds: Annotated[Count, Field(ge=60, le=7200)] = 900
    """How long Helm waits for the pods; agents restart two or three times on a first installation."""
    atomic: Flag = False
    """true: roll a failed release back. false: keep it, so that a slow first start is not undone."""
    upgrade_install: Flag = True
    """true: upgrade an existing release of this name that Terraform's state does not hold. Such a release remains if
    its first installation failed, or if it dropped out of the state while the cluster was out of reach. false:
    refuse ("cannot re-use a name that is still in use")."""
    take_ownership: Flag = False
    """true: existing objects that the chart also creates become part of the release, no matter whether kubectl, Argo CD
    or another Helm release applied them. Uninstalling deletes them too. This has no effect on a release that
    Terraform's state does not hold: import it first. Default: Helm refuses such objects ("invalid ownership
    metadata")."""
    former_service_accounts: tuple[Annotated[str, AfterValidator(common.service_account)], ...] = ()
    """Service accounts, as `namespace/name`, that stay trusted although the release no longer has them, or their worker
    got its own identity: their pods run on for minutes. Remove the line once those pods are gone."""
    untrusted: tuple[Literal["dagProcessor", "sentinel"], ...] = ()
    """Components that get no identity in the cloud: neither uses XComs. The DAG processor still needs one where the
    secrets backend or its DAG bundles ask the cloud. Default: each service account of the release is trusted."""
    values_files: tuple[
        Annotated[ValuesFile, BeforeValidator(_read), WithJsonSchema({"type": "string", "minLength": 1})], ...
    ] = ()
    """Files with your own chart values. Relative paths start at the folder of the file that names them."""
    values: dict[str, Any] = Field(default_factory=dict)
    """Your own chart values, inline."""

    def chart_repository(self) -> str | None:
        """Where Helm finds the chart; None when `chart` says it all."""
        return None if "/" in self.chart or self.chart.startswith(".") else self.repository

    def sources(self) -> list[chart_values.Source]:
        """The user's own chart values, each with the name to use in messages."""
        return [*(file.source for file in self.values_files), chart_values.Source(name=INLINE, values=self.values)]

    def user_values(self) -> Mapping[str, Any]:
        """The user's own chart values, merged."""
        return chart_values.merge(self.sources())

    def service_accounts(self) -> tuple[ServiceAccount, ...]:
        """Every service account of the release."""
        return service_accounts(self.user_values(), prefix=self.resource_name_prefix, namespace=self.namespace)

    def subjects(self) -> tuple[str, ...]:
        """Exactly these are trusted by the cloud: the release's service accounts, then the former ones."""
        accounts = (account for account in self.service_accounts() if account.component not in self.untrusted)
        return tuple(dict.fromkeys((*subjects(accounts), *self._former)))

    def subjects_of(self, workers: Collection[str]) -> dict[Worker, tuple[str, ...]]:
        """Exactly these are trusted with each identity: that of all others, former ones too, and each worker's own."""
        accounts = [account for account in self.service_accounts() if account.component not in self.untrusted]
        others = subjects(account for account in accounts if account.of not in workers)
        own = {worker: subjects(account for account in accounts if account.of == worker) for worker in workers}
        return with_others(tuple(dict.fromkeys((*others, *self._former))), own)

    @property
    def _former(self) -> list[str]:
        return [f"system:serviceaccount:{account.replace('/', ':')}" for account in self.former_service_accounts]

    def untrusted_accounts(self) -> tuple[ServiceAccount, ...]:
        """The release's service accounts that get no identity."""
        return tuple(each for each in self.service_accounts() if each.component in self.untrusted)

    @field_validator("values_files")
    @classmethod
    def _files_can_work(cls, files: tuple[ValuesFile, ...]) -> tuple[ValuesFile, ...]:
        problems: list[str] = []
        for file in files:
            try:
                user_values.check_source(file.source)
            except SettingErrors as error:
                problems += error.lines
        if problems:
            raise SettingErrors(problems)
        return files

    @field_validator("values")
    @classmethod
    def _values_can_work(cls, values: dict[str, Any]) -> dict[str, Any]:
        user_values.check_source(chart_values.Source(name="", values=values))
        return values

    @together
    def _values_fit(self) -> Iterator[str | SettingError]:
        owned = {
            "namespace": ("agent.namespace", self.namespace),
            "resourceNamePrefix": ("agent.resource_name_prefix", self.resource_name_prefix),
        }
        for source in self.sources():
            yield from attempt(user_values.check_owned, source, owned)
            if source.values.get("createNamespace") not in (None, "", False):
                yield f"{source.name}: createNamespace: remove it; agent.create_namespace does that"
        yield from attempt(self.service_accounts)

    @together
    def _left_out_is_nobody_else(self) -> Iterator[str | SettingError]:
        twice = next((each for each in self.untrusted if self.untrusted.count(each) > 1), None)
        if twice:
            yield SettingError("names a component twice", got=twice, field="untrusted")
        try:
            left_out, accounts = self.untrusted_accounts(), self.service_accounts()
        except SettingErrors:  # which is said of the values
            return
        for one in left_out:
            with_it = [each for each in accounts if each.name == one.name and each not in left_out]
            if with_it:
                yield SettingError(
                    f"{one.component} runs as {one.name}, as {with_it[0].component} does, which must be trusted",
                    hint=f"an account of its own in serviceAccount.{one.component}.name",
                    field="untrusted",
                )
            elif one.subject in self.subjects():
                yield SettingError(
                    f"is the service account of {one.component}, which agent.untrusted leaves out: remove one of them",
                    got=f"{one.namespace}/{one.name}",
                    field="former_service_accounts",
                )

    @together
    def _chart_can_be_found(self) -> Iterator[str | SettingError]:
        if self.repository is None and "/" not in self.chart and not self.chart.startswith("."):
            yield SettingError(
                "is required for a chart given by name", got=None, hint=f'"{CHART_REPOSITORY}"', field="repository"
            )
