"""AWS: the login, the clusters and their OIDC providers."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from astro_xcom.doctor.cloud import Cloud
from astro_xcom.doctor.commands import Commands, Failed, Unanswered, at, entries, printable
from astro_xcom.doctor.model import Check, missing, ok, unknown
from astro_xcom.settings import AwsDeployment, EksCluster

MARK = ":oidc-provider/"
AGENT = "eks-pod-identity-agent"


@dataclass
class Aws(Cloud):
    """What the command aws says."""

    deployment: AwsDeployment
    commands: Commands
    endpoints: set[str] = field(default_factory=set)

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

    @property
    def _trusts_providers(self) -> bool:
        identity = self.deployment.identity
        return identity.web_identity and not identity.existing_role

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
