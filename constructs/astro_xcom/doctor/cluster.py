"""The cluster: kubectl's context of it, the namespace with what must be in it, and the release."""

import shlex
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from astro_xcom.doctor import secrets
from astro_xcom.doctor.commands import Commands, Failed, Unanswered, at, entries, printable
from astro_xcom.doctor.model import Check, missing, ok, unknown
from astro_xcom.settings import Deployment, Kubeconfig

REQUEST = "--request-timeout=20s"
# Prints the names of a secret's keys; what is behind them is not printed.
KEYS = '{{.metadata.name}}{{"\\n"}}{{range $key, $value := .data}}{{$key}}{{"\\n"}}{{end}}'


@dataclass(frozen=True)
class Cluster:
    """The deployment's cluster, as kubectl and helm reach it."""

    deployment: Deployment
    commands: Commands
    config: Path | None
    """The kubeconfig of the settings. None: kubectl's own."""
    context: str | None
    """None: the current one."""

    def checks(self) -> Iterator[Check]:
        """Namespace, secrets, service accounts, release."""
        namespace = self._namespace()
        yield namespace
        if namespace.status == "unknown" and "orbidden" not in namespace.says and self.commands.there("kubectl"):
            # Whatever kept this answer away, a network or a login, would cost its time again with each of the rest.
            yield from self.unasked("kubectl did not answer for the namespace")
            return
        for name, keys in self._secrets.items():
            yield self._secret(name, keys)
        for name in self._service_accounts:
            yield self._service_account(name)
        if self.deployment.agent.release:
            yield self._release()

    def unasked(self, reason: str) -> Iterator[Check]:
        """What is in the namespace, where nobody could answer."""
        for name in self._secrets:
            yield unknown("secret", printable(name), reason)
        for name in self._service_accounts:
            yield unknown("service account", name, reason)
        if self.deployment.agent.release:
            yield unknown("release", self.deployment.agent.release_name, reason)

    def _namespace(self) -> Check:
        namespace = self._space
        try:
            there = self._kubectl("get", f"namespace/{namespace}", "--ignore-not-found", "--output=name")
        except Unanswered as error:
            return unknown("namespace", namespace, str(error))
        if there:
            return ok("namespace", namespace, "is there")
        if self.deployment.agent.create_namespace:
            return ok("namespace", namespace, "is created by the apply (agent.create_namespace)")
        return missing("namespace", namespace, "is not there", f"kubectl create namespace {namespace}")

    def _secret(self, name: str, keys: Set[str]) -> Check:
        shown, wanted = printable(name), set(keys)
        if not secrets.NAME.fullmatch(name):
            return missing("secret", shown, "is no name of a secret in Kubernetes", "another name in the chart values")
        create = secrets.create(self._space, name, wanted)
        try:
            text = self._kubectl(
                *self._namespaced, "get", f"secret/{name}", "--ignore-not-found", f"--output=go-template={KEYS}"
            )
        except Unanswered as error:
            return unknown("secret", shown, str(error))
        if not text:
            return missing("secret", shown, "is not there", create)
        lacking = wanted - set(text.split("\n")[1:])
        if lacking:
            keys_ = printable(", ".join(sorted(lacking)))
            return missing("secret", shown, f"has no {keys_}", secrets.add(self._space, name, lacking))
        return ok("secret", shown, f"has {printable(', '.join(sorted(wanted)))}" if wanted else "is there")

    def _service_account(self, name: str) -> Check:
        try:
            there = self._kubectl(
                *self._namespaced, "get", f"serviceaccount/{name}", "--ignore-not-found", "--output=name"
            )
        except Unanswered as error:
            return unknown("service account", name, str(error))
        if there:
            return ok("service account", name, "is there; astro-xcom check has the annotations that it needs")
        create = f"kubectl -n {self._space} create serviceaccount {name}"
        return missing("service account", name, "is not there, and the values do not have it created", create)

    def _release(self) -> Check:
        agent = self.deployment.agent
        name = agent.release_name
        where = [f"--namespace={self._space}"]
        where += [f"--kubeconfig={self.config}"] if self.config else []
        where += [f"--kube-context={self.context}"] if self.context else []
        try:
            history = self.commands.json("helm", "history", name, "--max=1", "--output=json", *where)
        except Failed as error:
            if "release: not found" in error.said:
                return ok("release", name, "is not there: the apply installs it")
            return unknown("release", name, str(error))
        except Unanswered as error:
            return unknown("release", name, str(error))
        status, revision = at(history, -1, "status"), at(history, -1, "revision")
        if not isinstance(status, str):
            return unknown("release", name, "helm answered without a status")
        says = f"exists already: revision {printable(str(revision))}, {printable(status)}"
        helm = f"helm -n {self._space}"
        if status.startswith("pending-"):
            pending = f"owner=helm,name={name},status={status}"
            line = f"kubectl -n {self._space} delete secret -l {shlex.quote(pending)}"
            return missing("release", name, f"{says}: no apply gets past it; if none is running", printable(line))
        if status == "uninstalled":
            return missing("release", name, f"{says}, with its history", f"{helm} uninstall {name}")
        if status == "uninstalling":
            return missing("release", name, f"{says}: somebody removes it", f"{helm} history {name}")
        if status == "failed" and not agent.upgrade_install:
            return missing(
                "release", name, f"{says}: an apply without it in the state is refused", "agent.upgrade_install: true"
            )
        if not agent.upgrade_install:
            return ok("release", name, f"{says}: an apply without it in the state is refused (agent.upgrade_install)")
        return ok("release", name, f"{says}: the apply upgrades it; if it belongs to another team, choose another name")

    @property
    def _secrets(self) -> secrets.Wanted:
        return secrets.wanted(self.deployment.agent.user_values())

    @property
    def _service_accounts(self) -> list[str]:
        """Those that the values do not have created."""
        return list(dict.fromkeys(each.name for each in self.deployment.agent.service_accounts() if not each.create))

    @property
    def _space(self) -> str:
        return self.deployment.agent.namespace

    @property
    def _namespaced(self) -> list[str]:
        return [f"--namespace={self._space}"]

    def _kubectl(self, *arguments: str) -> str:
        """What it prints; nothing for what is not there. Raises Unanswered."""
        where = [f"--kubeconfig={self.config}"] if self.config else []
        where += [f"--context={self.context}"] if self.context else []
        try:
            return self.commands.text("kubectl", *arguments, *where, REQUEST).strip()
        except Failed as error:
            if "(NotFound)" in error.said:
                return ""
            raise


def by_kubeconfig(kubeconfig: Kubeconfig, folder: Path, commands: Commands) -> tuple[Check, Path, str | None]:
    """Whether the file of the settings, and the context in it, are there."""
    path = folder / Path(kubeconfig.path).expanduser()
    shown = printable(str(path))
    if not path.is_file():
        return missing("kubeconfig", shown, "no such file", "cluster.kubeconfig.path"), path, kubeconfig.context
    try:
        view = commands.json("kubectl", "config", "view", "--output=json", f"--kubeconfig={path}")
    except Unanswered as error:
        return unknown("kubeconfig", shown, str(error)), path, kubeconfig.context
    names = [at(each, "name") for each in entries(view, "contexts")]
    context = kubeconfig.context or at(view, "current-context")
    if context not in names:
        rule = f"has no context {printable(str(context))}" if context else "has no current context"
        there = f"kubectl config get-contexts --kubeconfig={shlex.quote(str(path))}"
        return missing("kubeconfig", shown, rule, there), path, kubeconfig.context
    return ok("kubeconfig", shown, f"has the context {printable(str(context))}"), path, kubeconfig.context


def by_endpoint(endpoints: Set[str], connect: str, commands: Commands) -> tuple[Check, str | None]:
    """Which of kubectl's contexts is the cluster's: by its address, not by a name that anybody may have given."""
    try:
        view = commands.json("kubectl", "config", "view", "--output=json")
    except Unanswered as error:
        return unknown("context", None, str(error)), None
    current = at(view, "current-context")
    if not endpoints:
        assumed = (
            f"kubectl's current one, {printable(str(current))}, is taken for it" if current else "kubectl has none"
        )
        return unknown("context", None, f"the address of the cluster is not known: {assumed}"), None
    hosts = set(map(_host, endpoints))
    of_cluster = {
        at(each, "name") for each in entries(view, "clusters") if _host(str(at(each, "cluster", "server"))) in hosts
    }
    found = [
        str(at(each, "name")) for each in entries(view, "contexts") if at(each, "context", "cluster") in of_cluster
    ]
    if not found:
        return missing("context", None, "kubectl has none of this cluster", connect), None
    context = str(current) if current in found else found[0]
    return ok("context", printable(context), "is kubectl's context of the cluster"), context


def _host(server: str) -> str:
    return server.lower().removeprefix("https://").rstrip("/").removesuffix(":443")
