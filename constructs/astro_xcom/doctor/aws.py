"""AWS: the login, the clusters and their OIDC providers."""

import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from astro_xcom.doctor.cloud import Cloud
from astro_xcom.doctor.commands import Commands, Failed, Unanswered, at, entries, printable
from astro_xcom.doctor.model import Check, missing, ok, unknown
from astro_xcom.doctor.named import Named, Wrong, look
from astro_xcom.settings import AwsDeployment, EksCluster

MARK = ":oidc-provider/"
AGENT = "eks-pod-identity-agent"
FIRST = "us-east-1"
OLD_NAMES = {None: FIRST, "": FIRST, "EU": "eu-west-1"}
"""Of regions, where S3 says a bucket's location."""


@dataclass
class Aws(Cloud):
    """What the command aws says."""

    deployment: AwsDeployment
    commands: Commands
    endpoints: set[str] = field(default_factory=set)
    account: str | None = None
    """The one that aws is signed in to, where it says so."""

    def connect(self) -> str:
        """The line that gives kubectl a context of the cluster."""
        cluster = self.deployment.cluster
        return shlex.join(
            ["aws", "eks", "update-kubeconfig", f"--name={cluster.name}", f"--region={self._region(cluster)}"]
        )

    def checks(self) -> Iterator[Check]:
        """The login first: without it nothing else is known."""
        yield self._login()
        providers = self._providers() if self._trusts_providers else []
        for number, cluster in enumerate((self.deployment.cluster, *self.deployment.trusted_clusters)):
            yield from self._cluster(cluster, providers, own=not number)
        for thing in self._named():
            yield look(thing, self.commands)
        for role in filter(self._is_elsewhere, self._existing_roles()):
            rule = f"is of another account than {self.account}, to which aws is signed in"
            yield unknown("role", role.rpartition("/")[2], rule)

    def _existing_roles(self) -> list[str]:
        named = (each.existing_role for each in self.deployment.roles().values())
        return list(dict.fromkeys(role for role in named if role))

    def _named(self) -> Iterator[Named]:
        storage, roles = self.deployment.storage, self.deployment.roles().values()
        if storage.existing:
            yield self._bucket("bucket", storage.bucket, storage.account_id)
        if storage.access_log_bucket:
            yield self._bucket("log bucket", storage.access_log_bucket)
        for arn in filter(None, (storage.kms_key_arn, *storage.former_kms_key_arns)):
            yield _key(arn)
        for role in itertools.filterfalse(self._is_elsewhere, self._existing_roles()):
            name = role.rpartition("/")[2]
            yield Named(
                check="role",
                of=name,
                ask=("aws", "iam", "get-role", f"--role-name={name}", "--output=json"),
                absent=("NoSuchEntity",),
                where="in this account",
                create=f"aws iam create-role --role-name={name} --assume-role-policy-document=file://trust.json",
                judge=partial(_other_role, role),
            )
        policies = (arn for each in roles for arn in (each.permissions_boundary, *each.policy_arns) if arn)
        for arn in dict.fromkeys(policies):
            yield Named(
                check="policy",
                of=arn.rpartition("/")[2],
                ask=("aws", "iam", "get-policy", f"--policy-arn={arn}", "--output=json"),
                absent=("NoSuchEntity",),
                where="in this account",
                create=f"aws iam list-policies --query=Policies[].Arn, and the one that is there instead of {arn}",
            )

    def _is_elsewhere(self, role: str) -> bool:
        return role.startswith("arn:") and self.account is not None and role.split(":")[4] != self.account

    def _bucket(self, check: str, name: str, owner: str | None = None) -> Named:
        region = self.deployment.region
        owned = [f"--expected-bucket-owner={owner}"] if owner else []
        elsewhere = [] if region == FIRST else [f"--create-bucket-configuration=LocationConstraint={region}"]
        return Named(
            check=check,
            of=name,
            ask=("aws", "s3api", "get-bucket-location", f"--bucket={name}", *owned, "--output=json"),
            absent=("NoSuchBucket",),
            where="there",
            create=shlex.join(["aws", "s3api", "create-bucket", f"--bucket={name}", f"--region={region}", *elsewhere]),
            judge=lambda found: _elsewhere(region, found),
            refused=f"or the bucket is not of account {owner}" if owner else "",
        )

    @property
    def _trusts_providers(self) -> bool:
        return self.deployment.identity.web_identity and self.deployment.makes_roles

    def _providers(self) -> list[str] | Unanswered:
        try:
            listed = self.commands.json("aws", "iam", "list-open-id-connect-providers", "--output=json")
        except Unanswered as error:
            return error
        arns = [at(each, "Arn") for each in entries(listed, "OpenIDConnectProviderList")]
        return [arn for arn in arns if isinstance(arn, str)]

    def _login(self) -> Check:
        wanted = self.deployment.account_id
        try:
            account = at(self.commands.json("aws", "sts", "get-caller-identity", "--output=json"), "Account")
        except Failed as error:
            return missing("login", None, str(error), "aws sso login")
        except Unanswered as error:
            return unknown("login", None, str(error))
        self.account = printable(account) if isinstance(account, str) else None
        if wanted and account != wanted:
            rule = f"aws is signed in to account {printable(str(account))}, and account_id is {wanted}"
            return missing("login", None, rule, "export AWS_PROFILE=...")
        return ok("login", None, f"aws is signed in to account {printable(str(account))}")

    def _cluster(self, cluster: EksCluster, providers: list[str] | Unanswered, *, own: bool) -> Iterator[Check]:
        issuer, found = None, None
        region = self._region(cluster)
        if cluster.name:
            try:
                found = self.commands.json(
                    "aws", "eks", "describe-cluster", f"--name={cluster.name}", f"--region={region}", "--output=json"
                )
                issuer = at(found, "cluster", "identity", "oidc", "issuer")
                endpoint = at(found, "cluster", "endpoint")
                if own and isinstance(endpoint, str):
                    self.endpoints.add(endpoint)
                yield ok("cluster", cluster.name, f"is {printable(str(at(found, 'cluster', 'status'))).lower()}")
            except Failed as error:
                if "ResourceNotFoundException" not in error.said:
                    yield unknown("cluster", cluster.name, str(error))
                else:
                    there = f"aws eks list-clusters --region={region}"
                    yield missing("cluster", cluster.name, f"is not in {region} of this account", there)
            except Unanswered as error:
                yield unknown("cluster", cluster.name, str(error))
        if self._trusts_providers:
            yield self._provider(cluster, issuer, providers)
        if self.deployment.identity.pod_identity and cluster.name:
            yield self._agent(cluster, automatic=at(found, "cluster", "computeConfig", "enabled") is True)

    def _agent(self, cluster: EksCluster, *, automatic: bool) -> Check:
        """What hands the role to pods with EKS Pod Identity. Clusters in Auto Mode have it without the add-on."""
        if automatic:
            return ok("Pod Identity Agent", cluster.name, "is part of the cluster")
        named = [f"--cluster-name={cluster.name}", f"--addon-name={AGENT}", f"--region={self._region(cluster)}"]
        try:
            found = self.commands.json("aws", "eks", "describe-addon", *named, "--output=json")
        except Failed as error:
            if "ResourceNotFoundException" not in error.said:
                return unknown("Pod Identity Agent", cluster.name, str(error))
            create = shlex.join(["aws", "eks", "create-addon", *named])
            return missing("Pod Identity Agent", cluster.name, f"the cluster has no add-on {AGENT}", create)
        except Unanswered as error:
            return unknown("Pod Identity Agent", cluster.name, str(error))
        status = printable(str(at(found, "addon", "status"))).lower()
        return ok("Pod Identity Agent", cluster.name, f"is there ({status})")

    def _provider(self, cluster: EksCluster, issuer: object, providers: list[str] | Unanswered) -> Check:
        given = cluster.oidc_provider_arn
        host = given.partition(MARK)[2] if given else str(issuer).removeprefix("https://") if issuer else None
        of = host and printable(host)
        if isinstance(providers, Unanswered):
            return unknown("OIDC provider", of, str(providers))
        if host is None:
            return unknown("OIDC provider", of, f"the issuer of the cluster {cluster.name} is not known")
        if given in providers if given else any(arn.partition(MARK)[2] == host for arn in providers):
            return ok("OIDC provider", of, "is there")
        create = ["aws", "iam", "create-open-id-connect-provider", f"--url=https://{host}"]
        line = shlex.join([*create, "--client-id-list=sts.amazonaws.com"])
        return missing("OIDC provider", of, "is not among those of this account", line)

    def _region(self, cluster: EksCluster) -> str:
        return cluster.region or self.deployment.region


def _elsewhere(region: str, found: object) -> Wrong | None:
    """Where a bucket is in another region than the settings say. The first region is written as null."""
    if not isinstance(found, dict) or "LocationConstraint" not in found:
        return None
    said = found["LocationConstraint"]
    if said is not None and not isinstance(said, str):
        return None
    there = OLD_NAMES.get(said) or str(said)
    if there == region:
        return None
    return f"is in {there}, and region is {region}", f"region: {printable(there)}, and cluster.region: {region}"


def _key(arn: str) -> Named:
    """A KMS key, in its own region."""
    region, own = arn.split(":")[3], shlex.join([f"--key-id={arn}", f"--region={arn.split(':')[3]}"])
    mend = {
        "Disabled": f"aws kms enable-key {own}",
        "PendingDeletion": f"aws kms cancel-key-deletion {own} && aws kms enable-key {own}",
    }

    def judge(found: object) -> Wrong | None:
        state = at(found, "KeyMetadata", "KeyState")
        return (f"is {state}: nothing can be read or written with it", mend[state]) if state in mend else None

    return Named(
        check="key",
        of=arn.rpartition("/")[2],
        ask=("aws", "kms", "describe-key", f"--key-id={arn}", f"--region={region}", "--output=json"),
        absent=("NotFoundException",),
        where=f"in {region}",
        create=f"aws kms list-keys --region={region}, and the ARN of one that is there",
        judge=judge,
    )


def _other_role(said: str, found: object) -> Wrong | None:
    """Where the settings name a role by its ARN, in another account perhaps."""
    there = at(found, "Role", "Arn")
    if not said.startswith("arn:") or not isinstance(there, str) or said == there:
        return None
    return f"is {there}, and the settings say {said}", f"identity.existing_role: {printable(there)}"
