"""The admission webhook that gives pods their cloud identity, as a cloud's does, in a real API server."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from cluster.control_plane import Cluster
from e2e.agents import Pod
from e2e.certificates import Certificates
from e2e.gate import Answer, Forward, Gate, Request
from e2e.world import Given

VOLUME = "identity-token"
KIND = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}


@contextmanager
def webhook(
    cluster: Cluster, certificates: Certificates, namespace: str, given: Callable[[Pod], Given]
) -> Iterator[None]:
    """Every pod that is made in the namespace gets what it is given."""

    def admit(request: Request, forward: Forward) -> Answer:
        review = json.loads(request.body)["request"]
        spec = marked(review["object"]["spec"], given(_pod(cluster, review["object"], namespace)))
        patch = base64.b64encode(json.dumps([{"op": "replace", "path": "/spec", "value": spec}]).encode()).decode()
        response = {"uid": review["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        return Answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    with Gate(0, admit, certificates) as gate:
        authority = base64.b64encode(certificates.ca.read_bytes()).decode()
        pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
        hook = {
            "name": "identity.cloud.test",
            "clientConfig": {"url": gate.url, "caBundle": authority},
            "rules": [pods],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
        }
        cluster.apply([{**KIND, "metadata": {"name": "identity"}, "webhooks": [hook]}])
        yield
        assert cluster.kubectl("delete", KIND["kind"], "identity").returncode == 0


def marked(spec: dict[str, Any], given: Given) -> dict[str, Any]:
    """A pod's spec with the environment and the token's volume."""
    added = [{"name": name, "value": value} for name, value in given.env.items()]
    file = PurePosixPath(given.token_file)
    mounts = [{"name": VOLUME, "mountPath": str(file.parent), "readOnly": True}] if given.token_file else []
    token = {"audience": given.audience, "expirationSeconds": 3600, "path": file.name}
    volumes = [{"name": VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}] if given.token_file else []
    containers = [
        {**each, "env": [*each.get("env", ()), *added], "volumeMounts": [*each.get("volumeMounts", ()), *mounts]}
        for each in spec["containers"]
    ]
    return {**spec, "containers": containers, "volumes": [*spec.get("volumes", ()), *volumes]}


def _pod(cluster: Cluster, pod: dict[str, Any], namespace: str) -> Pod:
    account = pod["spec"]["serviceAccountName"]
    found = cluster.call("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}")
    return Pod(
        env={},
        labels=pod["metadata"].get("labels", {}),
        namespace=namespace,
        service_account=account,
        service_account_annotations=found["metadata"].get("annotations", {}),
    )
