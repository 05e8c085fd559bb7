"""What exists already and becomes part of a stack: `imports` of a deployment as Terraform's import blocks. Pure.

An id in another form is accepted by some providers and plans a replacement (`b/NAME` of a Google Cloud bucket), and so
does a thing that is imported without its parent. So the ids come from the settings, and parents come along.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from astro_xcom.errors import SettingError, SettingErrors, quoted
from astro_xcom.forgotten import BUCKET_SETTINGS, address
from astro_xcom.rules import aws, azure, gcp
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment, GcpRole
from astro_xcom.workers import Worker, construct_id

ACCOUNTS = "/providers/Microsoft.Storage/storageAccounts/"
IDENTITIES = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
ASSIGNMENT = re.compile(r"(?P<scope>/.+)/providers/Microsoft\.Authorization/roleAssignments/[0-9A-Fa-f-]{36}")
KMS_KEY = re.compile(r"(mrk-)?[0-9a-f-]{32,36}")
GONE = re.compile(r'import\s+an\s+existing\s+object\s+to\s+"([^"]+)",\s+the\s+provider\s+detected\s+that\s+no\s+object')

GROUPS = {"credentials": "credential ", "members": "member "}
"""A name for all things whose names start so."""


@dataclass(frozen=True, kw_only=True)
class Importable:
    """One resource of a stack, as Terraform imports it."""

    address: str
    id: str | None
    """As the provider writes it. None: the cloud chose it, and no setting says it."""
    parents: tuple[str, ...] = ()
    """What it refers to: imported as well, or Terraform would replace it."""
    find: str = ""
    """How to find an id that no setting says."""
    form: re.Pattern[str] | None = None
    """What such an id looks like."""
    scope: str = ""
    """Of a role assignment: where it has to be."""


def importable(name: str, deployment: Deployment) -> dict[str, Importable]:
    """Everything that the stack of this deployment creates, by the name that `imports` gives it."""
    found: dict[str, Importable] = {}
    if isinstance(deployment, AwsDeployment):
        found |= _on_aws(name, deployment)
    elif isinstance(deployment, AzureDeployment):
        found |= _on_azure(name, deployment)
    elif isinstance(deployment, GcpDeployment):
        found |= _on_gcp(name, deployment)
    agent = deployment.agent
    if agent.release:
        release = f"{agent.namespace}/{agent.release_name}"
        found["release"] = Importable(address=address("helm_release", "agent", "release"), id=release)
    return found


def import_blocks(name: str, deployment: Deployment) -> dict[str, str]:
    """Address -> id of what `imports` of the deployment names, parents first.

    Raises SettingErrors, a line for each import that cannot be: of what the stack does not create, or with an id that
    the settings contradict.
    """
    if not deployment.imports:
        return {}
    there = importable(name, deployment)
    given = dict(_named(deployment.imports, there))
    wanted: dict[str, str] = {}
    problems: list[str] = []

    def add(thing: str) -> None:
        if there[thing].address in wanted:
            return
        for parent in there[thing].parents:
            if parent in there:
                add(parent)
        try:
            wanted[there[thing].address] = _id(there[thing], given.get(thing, True))
        except SettingError as error:
            problems.append(f"imports.{thing}: {error}")

    for thing in given:
        if thing in there:
            add(thing)
        else:
            near = difflib.get_close_matches(thing, [*there, *(each.address for each in there.values())], n=1)
            rule = f"is nothing that this deployment creates; there are {', '.join(there)}"
            problems.append(f"imports.{thing}: {rule}" + (f"; try {near[0]}" if near else ""))
    if problems:
        raise SettingErrors(list(dict.fromkeys(problems)))
    return wanted


def named_addresses(deployment: Deployment) -> dict[str, str]:
    """Name -> address of what `imports` names, without parents."""
    there = importable("any", deployment)  # no address has the deployment's name in it
    return {thing: there[thing].address for thing, _ in _named(deployment.imports, there) if thing in there}


def not_there(said: str, things: Mapping[str, str]) -> list[str]:
    """What to do where Terraform says that an import has nothing to take up. `things`: address -> name."""
    rule = "is not there: remove that line, and those of what refers to it, and the apply creates it"
    return [f"imports: {things.get(address, address)} {rule}" for address in dict.fromkeys(GONE.findall(said))]


def _named(imports: Mapping[str, bool | str], there: Mapping[str, Importable]) -> Iterator[tuple[str, bool | str]]:
    """The things that were named: an address by its name, a group by its members."""
    names = {each.address: thing for thing, each in there.items()}
    for thing, given in imports.items():
        members = [each for each in there if thing in GROUPS and each.startswith(GROUPS[thing])]
        yield from ((each, given) for each in members or [names.get(thing, thing)])


def _id(thing: Importable, given: bool | str) -> str:
    if thing.id is not None:
        if given is not True and given != thing.id:
            raise SettingError("must be true, or the id that the settings give", got=given, hint=quoted(thing.id))
        return thing.id
    found = thing.form.fullmatch(given) if thing.form and isinstance(given, str) else None
    if not isinstance(given, str) or not found:
        raise SettingError(f"needs its id, which no setting says: {thing.find}", got=given)
    if thing.scope and found["scope"].lower() != thing.scope.lower():
        of_account = thing.scope.lower().startswith(f"{found['scope'].lower()}/")
        raise SettingError(
            f"must be an assignment on {thing.scope}: Terraform replaces any other",
            got=found["scope"],
            hint="storage.role_scope: account" if of_account else None,
        )
    return given


Found = Iterator[tuple[str, Importable]]


def _on_aws(name: str, deployment: AwsDeployment) -> Found:
    storage = deployment.storage
    bucket = storage.bucket
    if not storage.existing:
        yield "bucket", Importable(address=address("aws_s3_bucket", "storage", "bucket"), id=bucket)
        used = {"logging": storage.access_log_bucket, "notification": storage.eventbridge_notifications}
        for part, kind in BUCKET_SETTINGS.items():
            if used.get(part, True):
                where = address(f"aws_s3_bucket_{kind}", "storage", part)
                own = "bucket-policy" if part == "policy" else part
                yield own, Importable(address=where, id=bucket, parents=("bucket",))
    if not storage.existing and storage.encryption == "SSE-KMS" and storage.kms_key_arn is None:
        find = f"aws kms describe-key --key-id alias/{bucket} --query KeyMetadata.KeyId"
        yield "key", Importable(address=address("aws_kms_key", "storage", "key"), id=None, find=find, form=KMS_KEY)
        where = address("aws_kms_alias", "storage", "key-alias")
        yield "key-alias", Importable(address=where, id=f"alias/{bucket}", parents=("key",))
    for worker, each in deployment.roles().items():
        if each.existing_role:
            continue
        id_, called = construct_id(worker), _called(worker)
        role, policy = deployment.role_name(name, worker), each.policy_name or f"storage-{bucket}"
        yield called("role"), Importable(address=address("aws_iam_role", id_, "role"), id=role)
        of_role = (called("role"),)
        where = address("aws_iam_role_policy", "storage", f"grant-{id_}")
        yield called("role-policy"), Importable(address=where, id=f"{role}:{policy}", parents=of_role)
        for arn in each.policy_arns:
            where = address("aws_iam_role_policy_attachment", id_, f"permission-{aws.policy_key(arn)}")
            yield called(f"permission {arn}"), Importable(address=where, id=f"{role}/{arn}", parents=of_role)
        if each.policy_statements:
            where = address("aws_iam_role_policy", id_, "permission")
            thing = called("permission statements")
            yield thing, Importable(address=where, id=f"{role}:{aws.BESIDE}", parents=of_role)
    for cluster in deployment.clusters if deployment.identity.pod_identity else ():
        region = cluster.region or deployment.region
        front = "" if cluster == deployment.cluster else f"{cluster.name} in {region} "
        for namespace, account in _accounts(deployment.agent.subjects()):
            own = f"eks-{region}.{cluster.name}_{namespace}_{account}"
            where = address("aws_eks_pod_identity_association", "pod-identity", own)
            find = (
                f'"{cluster.name},ID", where `aws eks list-pod-identity-associations --region {region} --cluster-name '
                f"{cluster.name} --namespace {namespace} --service-account {account}` prints ID"
            )
            form = re.compile(rf"{re.escape(str(cluster.name))},a-[a-z0-9]+")
            thing = f"association {front}{namespace}/{account}"
            parents = tuple(
                _called(worker)("role")
                for worker, subjects in deployment.trusted().items()
                if [namespace, account] in _accounts(subjects)
            )
            yield thing, Importable(address=where, id=None, parents=parents, find=find, form=form)


def _on_azure(name: str, deployment: AzureDeployment) -> Found:
    storage, of_container = deployment.storage, deployment.storage.role_scope == "container"
    group = _group(deployment, None)
    account = f"{_group(deployment, storage.resource_group)}{ACCOUNTS}{deployment.account(name)}"
    container = f"{account}/blobServices/default/containers/{storage.container}"
    if not deployment.resource_group.existing:
        yield "resource-group", Importable(address=address("azurerm_resource_group", "resource-group"), id=group)
    if not storage.existing:
        yield from _account_on_azure(name, deployment, group, account)
    if storage.existing != "container":
        where = address("azurerm_storage_container", "storage", "container")
        yield "container", Importable(address=where, id=container, parents=("account",))
    for worker in deployment.identities():
        yield from _identity_on_azure(name, deployment, worker, container if of_container else account)


def _identity_on_azure(name: str, deployment: AzureDeployment, worker: Worker, scope: str) -> Found:
    identity, id_, called = deployment.identities()[worker], construct_id(worker), _called(worker)
    of_identity = (called("identity"),)
    own = deployment.identity_name(name, worker)
    owner = f"{_group(deployment, identity.resource_group)}{IDENTITIES}{own}"
    if not identity.existing:
        where = address("azurerm_user_assigned_identity", id_, "identity")
        yield called("identity"), Importable(address=where, id=owner, parents=("resource-group",))
    given = deployment.credential_names(worker)
    for number, key in enumerate(deployment.cluster_keys() if identity.federate else ()):
        front = f"{key} " if number else ""
        for namespace, service_account in _accounts(deployment.trusted()[worker]):
            credential = azure.federated_credential_name(key, namespace, service_account)
            where = address("azurerm_federated_identity_credential", id_, credential)
            there = f"{owner}/federatedIdentityCredentials/{given.get(credential, credential)}"
            thing = called(f"credential {front}{namespace}/{service_account}")
            yield thing, Importable(address=where, id=there, parents=of_identity)
    for role in identity.roles:
        where = address("azurerm_role_assignment", id_, f"permission-{azure.role_key(role.role, role.scope)}")
        yield called(f"permission {role.role} on {role.scope}"), _assignment(where, role.scope, of_identity)
    if identity.granted:
        where = address("azurerm_role_assignment", "storage", f"grant-{id_}")
        parents = (*of_identity, "account", *(("container",) if "/containers/" in scope else ()))
        yield called("role-assignment"), _assignment(where, scope, parents)


def _account_on_azure(name: str, deployment: AzureDeployment, group: str, account: str) -> Found:
    storage = deployment.storage
    if key := storage.customer_managed_key:
        where = address("azurerm_user_assigned_identity", "storage-account", "key-identity")
        own = f"{group}{IDENTITIES}{deployment.account(name)}-key"
        yield "key-identity", Importable(address=where, id=own, parents=("resource-group",))
        where = address("azurerm_role_assignment", "storage-account", "key-grant")
        scope = f"{key.vault_id}/keys/{key.key_id.rpartition('/')[2]}"
        yield "key-grant", _assignment(where, scope, ("key-identity",))
    where = address("azurerm_storage_account", "storage-account", "account")
    yield "account", Importable(address=where, id=account, parents=("resource-group", "key-identity"))
    where = address("azurerm_storage_management_policy", "storage-account", "lifecycle")
    yield "lifecycle", Importable(address=where, id=f"{account}/managementPolicies/default", parents=("account",))
    if storage.private_endpoint:
        where = address("azurerm_private_endpoint", "storage-account", "private-endpoint")
        id_ = f"{group}/providers/Microsoft.Network/privateEndpoints/{deployment.account(name)}-blob"
        yield "private-endpoint", Importable(address=where, id=id_, parents=("account",))
    if storage.access_log_storage_account_id:
        where = address("azurerm_monitor_diagnostic_setting", "storage-account", "access-logs")
        id_ = f"{account}/blobServices/default|access-logs"
        yield "access-logs", Importable(address=where, id=id_, parents=("account",))


def _group(deployment: AzureDeployment, name: str | None) -> str:
    return f"/subscriptions/{deployment.subscription_id}/resourceGroups/{name or deployment.resource_group.name}"


def _assignment(where: str, scope: str, parents: tuple[str, ...]) -> Importable:
    find = f'az role assignment list --query "[].id" --scope {scope}'
    return Importable(address=where, id=None, parents=parents, find=find, form=ASSIGNMENT, scope=scope)


def _on_gcp(name: str, deployment: GcpDeployment) -> Found:
    if not deployment.storage.existing:
        yield from _bucket_on_gcp(deployment)
    if deployment.identity.mechanism == "direct":
        yield from _direct_on_gcp(deployment)
        return
    for worker in deployment.identities():
        yield from _service_account_on_gcp(name, deployment, worker)


def _service_account_on_gcp(name: str, deployment: GcpDeployment, worker: Worker) -> Found:
    identity, id_, called = deployment.identities()[worker], construct_id(worker), _called(worker)
    storage, project, email = deployment.storage, deployment.project, deployment.email(name, worker)
    of_account = (called("service-account"),)
    account = f"projects/-/serviceAccounts/{email}"
    for each in identity.roles:
        type_, front = _role_on_gcp(each.scope)
        where = address(type_, id_, f"permission-{gcp.role_key(each.role, each.scope)}")
        member = f"{front} {each.role} serviceAccount:{email}"
        yield (
            called(f"permission {each.role} on {each.scope}"),
            Importable(address=where, id=member, parents=of_account),
        )
    if not identity.existing_service_account:
        account = f"projects/{project}/serviceAccounts/{email}"
        where = address("google_service_account", id_, "account")
        yield called("service-account"), Importable(address=where, id=account)
    for kind, role in gcp.STORAGE_ROLES.items() if identity.grant_storage else ():
        where = address("google_storage_bucket_iam_member", "storage", f"{kind}-{id_}")
        member = f"b/{storage.bucket} {role} serviceAccount:{email}"
        yield called(f"member {kind}"), Importable(address=where, id=member, parents=("bucket", *of_account))
    for cluster in deployment.clusters if identity.federate else ():
        pool = cluster.pool(project)
        front = "" if pool == deployment.cluster.pool(project) else f"{pool.removesuffix(gcp.POOL)} "
        for namespace, service_account in _accounts(deployment.trusted()[worker]):
            key = f"{pool.removesuffix(gcp.POOL)}_{namespace}_{service_account}"
            where = address("google_service_account_iam_member", id_, f"user-{key}")
            member = f"{account} {gcp.USER_ROLE} serviceAccount:{pool}[{namespace}/{service_account}]"
            thing = called(f"member {front}{namespace}/{service_account}")
            yield thing, Importable(address=where, id=member, parents=of_account)


def _direct_on_gcp(deployment: GcpDeployment) -> Found:
    """Roles of the Kubernetes service accounts themselves. Their names have the number of the pool's project."""
    storage, project = deployment.storage, deployment.project
    granted = deployment.identity.grant_storage
    pools: dict[str, str | None] = {}
    for cluster in deployment.clusters:
        pool = cluster.pool(project)
        pools[pool] = pools.get(pool) or cluster.project_number
    for pool, number in pools.items():
        for namespace, account in _accounts(deployment.agent.subjects()):
            key = f"{pool.removesuffix(gcp.POOL)}_{namespace}_{account}"
            front = "" if pool == deployment.cluster.pool(project) else f"{pool.removesuffix(gcp.POOL)} "
            who = f"{front}{namespace}/{account}"
            subject = f"/locations/global/workloadIdentityPools/{pool}/subject/ns/{namespace}/sa/{account}"
            for kind, role in gcp.STORAGE_ROLES.items() if granted else ():
                where = address("google_storage_bucket_iam_member", "storage", f"{kind}-identity-{key}")
                yield (
                    f"member {kind} {who}",
                    _principal(where, f"b/{storage.bucket} {role}", number, subject, ("bucket",)),
                )
            for each in _roles_of([namespace, account], deployment):
                type_, on = _role_on_gcp(each.scope)
                where = address(type_, "identity", f"permission-{key}-{gcp.role_key(each.role, each.scope)}")
                yield (
                    f"permission {each.role} on {each.scope} {who}",
                    _principal(where, f"{on} {each.role}", number, subject),
                )


def _principal(where: str, start: str, number: str | None, subject: str, parents: tuple[str, ...] = ()) -> Importable:
    start = f"{start} principal://iam.googleapis.com/projects/"
    return Importable(
        address=where,
        id=f"{start}{number}{subject}" if number else None,
        parents=parents,
        find=f'"{start}NUMBER{subject}", where `gcloud projects describe` prints NUMBER as projectNumber',
        form=re.compile(f"{re.escape(start)}[0-9]+{re.escape(subject)}"),
    )


def _role_on_gcp(scope: str) -> tuple[str, str]:
    """The type of a member of a role there, and how its id starts."""
    if "/secrets/" in scope:
        return "google_secret_manager_secret_iam_member", scope
    if "/buckets/" in scope:
        return "google_storage_bucket_iam_member", f"b/{scope.rpartition('/')[2]}"
    return "google_project_iam_member", scope.removeprefix("projects/")


def _bucket_on_gcp(deployment: GcpDeployment) -> Found:
    storage = deployment.storage
    key = storage.kms_key_name
    if storage.encryption == "customer-managed":
        if key is None:
            place = f"projects/{deployment.project}/locations/{gcp.kms_location(str(storage.location))}"
            ring = f"{place}/keyRings/{storage.bucket}"
            key = f"{ring}/cryptoKeys/xcom"
            yield "key-ring", Importable(address=address("google_kms_key_ring", "storage", "key-ring"), id=ring)
            where = address("google_kms_crypto_key", "storage", "key")
            yield "key", Importable(address=where, id=key, parents=("key-ring",))
        if storage.grant_kms_key:
            id_ = "given-key-grant" if storage.kms_key_name else "key-grant"
            yield "key-grant", _key_member(id_, key, gcp.KEY_ROLE)
    for former in storage.former_kms_key_names:
        own = former.replace("/", ".")
        yield f"former-key-grant {own}", _key_member(f"former-key-grant-{own}", former, gcp.FORMER_KEY_ROLE)
    where = address("google_storage_bucket", "storage", "bucket")
    yield "bucket", Importable(address=where, id=storage.bucket, parents=("key",))


def _key_member(id_: str, key: str, role: str) -> Importable:
    where = address("google_kms_crypto_key_iam_member", "storage", id_)
    agent = r"serviceAccount:service-[0-9]+@gs-project-accounts\.iam\.gserviceaccount\.com"
    return Importable(
        address=where,
        id=None,
        parents=("key",),
        find=f'"{key} {role} serviceAccount:AGENT", where `gcloud storage service-agent` prints AGENT; '
        "without an import the grant is added once more, and nothing changes",
        form=re.compile(f"{re.escape(f'{key} {role} ')}{agent}"),
    )


def _roles_of(account: list[str], deployment: GcpDeployment) -> list[GcpRole]:
    """What a Kubernetes service account gets beside XComs, with direct grants."""
    trusted = [worker for worker, subjects in deployment.trusted().items() if account in _accounts(subjects)]
    return [role for worker in trusted for role in deployment.identities()[worker].roles]


def _called(worker: Worker) -> Callable[[str], str]:
    """How `imports` names what belongs to an identity."""
    return lambda thing: thing if worker is None else f"worker {worker} {thing}"


def _accounts(subjects: Iterable[str]) -> list[list[str]]:
    """Namespace and name of service accounts."""
    return [subject.split(":")[2:] for subject in subjects]
