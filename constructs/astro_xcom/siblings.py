"""The deployments of one file together: what two of them must not both create, grant or expire.

No side effects, no cdktf import.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from astro_xcom.errors import SettingError, quoted
from astro_xcom.rules import common, limits
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment
from astro_xcom.settings.claims import Claim, Identity
from astro_xcom.workers import setting

Deployments = Mapping[str, Deployment]
Key = TypeVar("Key")


def claimed_twice(deployments: Deployments) -> Iterator[str]:
    """Two deployments that create or grant the same: the second apply would fail, or take it over."""
    owners: dict[tuple[str, tuple[str, ...]], list[tuple[str, str, Identity]]] = {}
    for name, deployment in deployments.items():
        told: set[tuple[str, str]] = set()
        for claim in list(deployment.claims(name)):
            claimed = owners.setdefault((claim.what.kind, claim.what.name), [])
            # Of one deployment another setting may claim it: two of its workers have one identity each.
            others = ((owner, place) for owner, place, what in claimed if what.may_be(claim.what))
            first = next(
                (
                    owner if owner != name else place
                    for owner, place in others
                    if (owner, place) != (name, claim.setting)
                ),
                None,
            )
            claimed.append((name, claim.setting, claim.what))
            if first is None or told & {(first, claim.setting), (first, claim.within)}:
                continue
            told.add((first, claim.setting))
            yield f"{name}.{claim.setting}: {_refusal(claim, first, of_another=first in deployments)}"


def _refusal(claim: Claim, first: str, *, of_another: bool) -> SettingError:
    further = f", or {claim.elsewhere}" if of_another and claim.elsewhere else ""
    return SettingError(claim.rule.format(first=first), got=claim.shown, hint=claim.way_out + further)


def too_many_credentials(deployments: Deployments) -> Iterator[str]:
    """An identity holds only so many federated credentials, from all deployments together."""
    held: dict[Identity, dict[str, int]] = {}
    for name, deployment in deployments.items():
        if isinstance(deployment, AzureDeployment):
            for worker in deployment.identities():
                yield from _too_many(f"{name}.{setting(worker)}", *deployment.credentials(name, worker), held)


def _too_many(
    place: str, identity: Identity, credentials: Sequence[object], held: dict[Identity, dict[str, int]]
) -> Iterator[str]:
    held.setdefault(identity, {})[place.removesuffix(".identity")] = len(credentials)
    numbers = {each: number for each, number in held[identity].items() if number}
    if len(credentials) and len(numbers) > 1 and sum(numbers.values()) > limits.AZURE_CREDENTIALS.most:
        rule = (
            f"an identity holds at most {limits.AZURE_CREDENTIALS.most} federated credentials, and "
            f"{' and '.join(numbers)} create {' + '.join(map(str, numbers.values()))} on {identity.name[-1]}"
        )
        yield f"{place}: {SettingError(rule, hint='an identity of its own, or workers that share a service account')}"


def expiring_state_stores(deployments: Deployments) -> Iterator[str]:
    """A state store where another deployment keeps XComs would expire with them."""
    keepers = _grouped(deployments, lambda name, deployment: deployment.storage_is(name))
    for name, deployment in deployments.items():
        if deployment.state_store is None:
            continue
        for other in keepers[deployment.storage_is(name)]:
            if other == name:
                continue
            state, storage = deployment.state_store.path, deployments[other].storage
            for xcoms in (storage.path, *storage.former_paths, *storage.shared_paths):
                if not (common.contains(xcoms, state) or common.contains(state, xcoms)):
                    continue
                rule = (
                    f'must not contain storage.path of {other} ("{xcoms}"), in the same storage, or be inside it: '
                    "XComs expire, state must not"
                )
                hint = f'"state-{name}"' if xcoms else "a bucket or container of its own"
                yield f"{name}.state_store.path: {SettingError(rule, got=state, hint=hint)}"


def adopted_from_another(deployments: Deployments) -> Iterator[str]:
    """Storage that one deployment creates and another uses as existing: only the creator sets lifecycle and key."""
    makers = _grouped({name: each for name, each in deployments.items() if not each.adopted}, _home)
    for name, deployment in deployments.items():
        for maker in makers[_home(name, deployment)] if deployment.adopted else ():
            owner = deployments[maker]
            if deployment.storage_is(name) == owner.storage_is(maker):
                yield from _not_covered(name, deployment, maker, owner)
                yield from _without_the_key(name, deployment, maker, owner)
                yield from _of_another_account(name, deployment, maker, owner)
            if isinstance(deployment, AzureDeployment) and isinstance(owner, AzureDeployment):
                yield from _in_another_group(name, deployment, maker, owner)
            if (
                deployment.storage_is(name) != owner.storage_is(maker)
                and _account(name, deployment) == _account(maker, owner) is not None
            ):
                rule = (
                    f"is in the account that {maker} creates, whose lifecycle covers only its own container: values "
                    "would never expire"
                )
                hint = (
                    f"existing: container with container: {owner.storage_is(maker).name[-1]}, or an account of its own"
                )
                error = SettingError(rule, got=deployment.storage_is(name).name[-1], hint=hint)
                yield f"{name}.storage.container: {error}"


def _not_covered(name: str, deployment: Deployment, maker: str, owner: Deployment) -> Iterator[str]:
    path, storage = deployment.storage.path, owner.storage
    if not any(common.contains(each, path) for each in (storage.path, *storage.former_paths, *storage.shared_paths)):
        rule = f"is in storage that {maker} creates, and its lifecycle does not cover it: values would never expire"
        hint = f"storage.shared_paths: {quoted([*storage.shared_paths, path])} of {maker}"
        yield f"{name}.storage.path: {SettingError(rule, got=path, hint=hint)}"
    days, most = deployment.xcom.retention_days, owner.xcom.retention_days
    if days > most:
        rule = f"must be at most {most}: {maker} creates the storage, and everything in it expires after {most} days"
        hint = f"{most}, or xcom.retention_days: {days} of {maker}"
        yield f"{name}.xcom.retention_days: {SettingError(rule, got=days, hint=hint)}"


def _without_the_key(name: str, deployment: Deployment, maker: str, owner: Deployment) -> Iterator[str]:
    """On S3 the agents use the bucket's key themselves; elsewhere the storage does."""
    if not isinstance(deployment, AwsDeployment) or not isinstance(owner, AwsDeployment):
        return
    key, needed = deployment.storage.kms_key_arn, owner.storage.kms_key_arn
    if owner.storage.encryption == "SSE-KMS" and (key is None or needed not in (None, key)):
        rule = f"must be the key of the bucket, which {maker} creates with SSE-KMS: else the agents can write nothing"
        hint = f'"{needed}"' if needed else f"the ARN of the key that {maker} creates"
        yield f"{name}.storage.kms_key_arn: {SettingError(rule, got=key, hint=hint)}"


def _of_another_account(name: str, deployment: Deployment, maker: str, owner: Deployment) -> Iterator[str]:
    """The agents would have no bucket of the name."""
    if not isinstance(deployment, AwsDeployment) or not isinstance(owner, AwsDeployment):
        return
    said = deployment.storage.account_id
    if said and owner.account and said != owner.account:
        rule = f"must be the account of {maker}, which makes the bucket"
        yield f"{name}.storage.account_id: {SettingError(rule, got=said, hint=quoted(owner.account))}"


def _in_another_group(name: str, deployment: AzureDeployment, maker: str, owner: AzureDeployment) -> Iterator[str]:
    """An account's name is one account, and that is in one group of one subscription."""
    if _account(name, deployment) != _account(maker, owner):
        return
    group, made_in = deployment.storage.resource_group or deployment.resource_group.name, owner.resource_group.name
    if deployment.subscription_id.lower() != owner.subscription_id.lower():
        rule = f"must be that of {maker}, which creates the account {owner.account(maker)}"
        refused = SettingError(rule, got=deployment.subscription_id, hint=f'"{owner.subscription_id}"')
        yield f"{name}.subscription_id: {refused}"
    elif group.lower() != made_in.lower():
        rule = f"must be that of the account {owner.account(maker)}, which {maker} creates"
        yield f"{name}.storage.resource_group: {SettingError(rule, got=group, hint=quoted(made_in))}"


def _grouped(deployments: Deployments, key: Callable[[str, Deployment], Key]) -> Mapping[Key, list[str]]:
    """Names by what their deployments share: files may hold a thousand, too many to compare each with each."""
    found: defaultdict[Key, list[str]] = defaultdict(list)
    for name, deployment in deployments.items():
        found[key(name, deployment)].append(name)
    return found


def _home(name: str, deployment: Deployment) -> Identity | tuple[str, ...]:
    """The account, or else the bucket."""
    return _account(name, deployment) or deployment.storage_is(name)


def _account(name: str, deployment: Deployment) -> tuple[str, ...] | None:
    return deployment.storage_is(name).name[:2] if isinstance(deployment, AzureDeployment) else None
