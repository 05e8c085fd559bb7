"""Which Kubernetes service accounts an agent release has. Pure.

The chart's own default names are not documented for every component, so each is named in the values and exactly
those names are trusted by the cloud.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.rules import common
from astro_xcom.workers import Worker

COMPONENTS = {"dagProcessor": "dag-processor", "triggerer": "triggerer", "sentinel": "sentinel"}
DEFAULT_WORKER = "default-worker"  # the chart's own worker when `workers` is left out


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    """The service account of one component of an agent release."""

    component: str
    """`workers`, `dagProcessor`, `triggerer` or `sentinel`, as the chart's values say it."""
    name: str
    namespace: str
    create: bool = True
    """Whether the chart creates it. If not, annotate your own."""
    worker: str | None = None
    """The entry of `workers` it belongs to; None for the chart's own default worker."""

    @property
    def of(self) -> str | None:
        """The worker it belongs to, the chart's default one by its name too; None for other components."""
        return (self.worker or DEFAULT_WORKER) if self.component == "workers" else None

    @property
    def subject(self) -> str:
        """The `sub` claim of its tokens."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


def subjects(accounts: Iterable[ServiceAccount]) -> tuple[str, ...]:
    """The distinct `sub` claims, in order of first appearance."""
    return tuple(dict.fromkeys(account.subject for account in accounts))


def service_accounts(values: Mapping[str, Any], *, prefix: str, namespace: str) -> tuple[ServiceAccount, ...]:
    """The service accounts of a release with these chart values: workers, dag processor, triggerer, sentinel.

    A sentinel that the values switch off has none. Raises SettingErrors for names Kubernetes refuses, for an account
    that is not made and has no name, and for two components that would each make the same account.
    """
    found, problems = [], []

    def add(component: str, default: str, block: Any, where: str, worker: str | None = None) -> None:
        block = _mapping(block)
        create = True if block.get("create") is None else block["create"]
        name = block.get("name")
        if name in (None, "") and create:
            name = default
        if not isinstance(create, bool):
            problems.append(f"{where}.create: {SettingError('must be true or false', got=create)}")
        elif name is not None and not isinstance(name, str):
            problems.append(f"{where}.name: {SettingError('must be text (in quotes)', got=name)}")
        elif not name:
            problems.append(f"{where}.name: is required where create is false: name your own account")
        else:
            try:
                found.append(
                    ServiceAccount(
                        component=component,
                        name=common.service_account_name(name),
                        namespace=namespace,
                        create=create,
                        worker=worker,
                    )
                )
            except SettingError as error:
                problems.append(f"{where}.name: {error}")
            if create and name == "default":
                problems.append(f"{where}.name: default is in every namespace, so the chart cannot create it")

    blocks = _mapping(values.get("serviceAccount"))
    shared = _mapping(blocks.get("workers"))
    if "workers" not in values:
        add("workers", f"{prefix}-worker-{DEFAULT_WORKER}", shared, "serviceAccount.workers")
    for worker in values.get("workers") or ():
        name = worker["name"]
        try:
            common.worker_name(name, prefix=prefix)
        except SettingError as error:
            problems.append(f"workers[{name}].name: {error}")
            continue
        block = {
            **shared,
            **{key: item for key, item in _mapping(worker.get("serviceAccount")).items() if item is not None},
        }
        add("workers", f"{prefix}-worker-{name}", block, f"workers[{name}].serviceAccount", name)
    for component, suffix in COMPONENTS.items():
        if component == "sentinel" and _is_off(values):
            continue
        add(component, f"{prefix}-{suffix}", blocks.get(component), f"serviceAccount.{component}")

    made: dict[str, str] = {}
    for account in found:
        owner = account.component if account.worker is None else f"workers[{account.worker}]"
        if account.create and account.name in made:
            problems.append(
                f"{owner}: would create the service account {account.name} a second time, after {made[account.name]}; "
                "try a name of its own, or create: false with your own account"
            )
        elif account.create:
            made[account.name] = owner
    if problems:
        raise SettingErrors(problems)
    return tuple(found)


def _is_off(values: Mapping[str, Any]) -> bool:
    """Whether the values switch the sentinel off. To Helm a null takes away the chart's own `enabled: true`."""
    if "sentinel" not in values:
        return False
    block = _mapping(values["sentinel"])
    return values["sentinel"] is None or ("enabled" in block and not block["enabled"])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def named_in_values(
    accounts: Iterable[ServiceAccount], annotations: Mapping[Worker, Mapping[str, str]] = MappingProxyType({})
) -> dict[str, Any]:
    """The chart values that give each component exactly its service account.

    `annotations`: those of a worker's own account; with None as the key, those of every other.
    """
    blocks: dict[str, Any] = {}
    workers: list[dict[str, Any]] = []
    for account in accounts:
        block: dict[str, Any] = {"create": account.create, "name": account.name}
        if marks := annotations.get(account.of if account.of in annotations else None):
            block["annotations"] = dict(marks)
        if account.worker is None:
            blocks[account.component] = block
        else:
            workers.append({"name": account.worker, "serviceAccount": block})
    return {"serviceAccount": blocks, **({"workers": workers} if workers else {})}
