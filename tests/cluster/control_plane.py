"""A real API server, etcd and controller manager on loopback, from one Go program (server/), built once."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.ports import free_port, wait_for
from environments import kept

SERVER = Path(__file__).parent / "server"
VERSION = "1.36.3"
START_SECONDS = 300
ISSUER = "https://cluster.test"


def go() -> str | None:
    """The go command, if there is one."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def built() -> Path:
    """The program: minutes the first time. Raises RuntimeError with the compiler's message."""
    files = [SERVER / name for name in ("go.mod", "go.sum", "main.go")]
    version = "k8s.io/component-base/version"
    major, minor, _ = VERSION.split(".")
    flags = f"-s -w -X {version}.gitVersion=v{VERSION} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"

    def make(folder: Path) -> None:
        folder.mkdir()
        command = [
            "nice",
            str(go()),
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            flags,
            "-o",
            str(folder / "cluster"),
            ".",
        ]
        env = {"GOFLAGS": "-p=1", **os.environ, "CGO_ENABLED": "0"}
        done = subprocess.run(command, cwd=SERVER, env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")

    return kept("cluster", b"".join(file.read_bytes() for file in files), make) / "cluster"


class ApiError(Exception):
    """What the API server answers, with its status."""

    @property
    def status(self) -> int:
        return int(self.args[0])


@dataclass(frozen=True)
class Cluster:
    """A cluster, by a kubeconfig, and a folder whose kubectl is to be used."""

    kubeconfig: Path
    path: str

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """Of programs that call kubectl."""
        return {**os.environ, "PATH": self.path, "KUBECONFIG": str(kubeconfig or self.kubeconfig)}

    def kubectl(
        self, *arguments: str, given: str = "", kubeconfig: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run kubectl, by default as the administrator."""
        env = self.environment(kubeconfig)
        return subprocess.run(
            [str(shutil.which("kubectl", path=self.path)), *arguments],
            input=given, env=env, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def astro_xcom(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run our own command, which may call kubectl."""
        command = [sys.executable, "-c", "from astro_xcom.cli.app import main; main()", *arguments]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=600)

    def get(self, *arguments: str) -> Any:
        """What is there, as JSON."""
        done = self.kubectl("get", *arguments, "--output=json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @cached_property
    def _client(self) -> httpx.Client:
        config = yaml.safe_load(self.kubeconfig.read_text())
        headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        server = config["clusters"][0]["cluster"]["server"]
        return httpx.Client(base_url=server, headers=headers, verify=False, timeout=60)

    def call(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Any:
        """The API itself, of a control plane of ours."""
        content = None if body is None else json.dumps(body)
        answer = self._client.request(method, path, content=content, headers={"Content-Type": content_type})
        if answer.is_error:
            raise ApiError(answer.status_code, f"{method} {path}: {answer.text}")
        return answer.json()

    # ----- the tokens of its service accounts: e2e.tokens.Cluster -----

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens."""
        return str(self.call("GET", "/.well-known/openid-configuration")["issuer"])

    def keys(self) -> dict[str, Any]:
        """What the clouds fetch from its issuer."""
        found: dict[str, Any] = self.call("GET", "/openid/v1/jwks")
        return found

    def token(self, subject: str, audience: str, *, pod: Mapping[str, Any] | None = None) -> str:
        """A token of a service account; of a pod, it ends with it."""
        _, _, namespace, account = subject.split(":")
        spec: dict[str, Any] = {"audiences": [audience], "expirationSeconds": 3600}
        if pod:
            spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod["name"], "uid": pod["uid"]}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        return str(self.call("POST", path, {"spec": spec})["status"]["token"])

    def apply(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Create things, or change them."""
        done = self.kubectl("apply", "--filename=-", given=yaml.safe_dump_all(documents))
        assert done.returncode == 0, done.stderr

    def make_accounts(self, subjects: Iterable[str]) -> None:
        """Create these service accounts, `system:serviceaccount:NAMESPACE:NAME`, and their namespaces."""
        places = [subject.split(":")[2:] for subject in subjects]
        namespaces = {namespace for namespace, _ in places}
        self.apply([
            *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(namespaces)),
            *({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
              for namespace, name in places),
        ])  # fmt: skip

    def as_account(self, namespace: str, account: str, folder: Path) -> Path:
        """A kubeconfig of a service account."""
        token = self.kubectl("--namespace", namespace, "create", "token", account)
        assert token.returncode == 0, token.stderr
        config = yaml.safe_load(self.kubectl("config", "view", "--raw", "--minify", "--flatten").stdout)
        config["users"][0]["user"] = {"token": token.stdout.strip()}
        file = folder / f"{account}.kubeconfig"
        file.write_text(yaml.safe_dump(config))
        return file


class ControlPlane:
    """Serves while it is open: `with ControlPlane(program, folder) as control_plane`."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._etcd = ""
        self._served: dict[tuple[str, str], Cluster] = {}
        self._key = self._made_key("accounts")

    def __enter__(self) -> "ControlPlane":
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    @property
    def cluster(self) -> Cluster:
        """The cluster that has controllers."""
        return self.serve(ISSUER)

    def serve(self, issuer: str, *, another: str = "") -> Cluster:
        """An API server whose tokens have this issuer: of our cluster, or of `another`, with its objects and key."""
        if (issuer, another) not in self._served:
            self._served[issuer, another] = self._serve(issuer, another)
        return self._served[issuer, another]

    def _start(self) -> None:
        kubectl = self._folder / "bin" / "kubectl"
        kubectl.parent.mkdir()
        kubectl.write_text(f'#!/bin/sh\nexec "{self._program}" kubectl "$@"\n')
        kubectl.chmod(0o755)
        clients = free_port()
        self._etcd = f"http://127.0.0.1:{clients}"
        self._run("etcd", str(self._folder / "etcd"), self._etcd, f"http://127.0.0.1:{free_port()}")
        wait_for(clients, self._processes[-1], START_SECONDS)
        # Nodes have no heartbeats here: what looks for them would take pods away.
        self._run(
            "controller-manager", f"--kubeconfig={self.cluster.kubeconfig}",
            f"--service-account-private-key-file={self._key}",
            "--leader-elect=false", "--use-service-account-credentials=false", f"--secure-port={free_port()}",
            "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller",
        )  # fmt: skip

    def _serve(self, issuer: str, another: str) -> Cluster:
        folder = self._folder / f"apiserver-{len(self._served)}"
        folder.mkdir()
        port, token = free_port(), secrets.token_urlsafe()
        key = self._made_key(another) if another else self._key
        (folder / "tokens").write_text(f'{token},administrator,1,"system:masters"\n')
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(f"https://127.0.0.1:{port}", token)))
        log = self._run(
            "apiserver", f"--etcd-servers={self._etcd}", f"--etcd-prefix=/{another or 'registry'}",
            "--bind-address=127.0.0.1", f"--secure-port={port}",
            f"--cert-dir={folder / 'certificates'}", f"--token-auth-file={folder / 'tokens'}",
            "--authorization-mode=RBAC", f"--service-account-issuer={issuer}", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.96.0.0/16",
            "--advertise-address=192.0.2.1",  # of no use, and may not be on loopback
        )  # fmt: skip
        found = Cluster(kubeconfig, os.pathsep.join([str(self._folder / "bin"), os.environ["PATH"]]))
        deadline = time.monotonic() + START_SECONDS
        while found.kubectl("get", "--raw=/readyz").returncode:
            if time.monotonic() > deadline or self._processes[-1].poll() is not None:
                raise RuntimeError(f"the API server does not start: {log.read_text()[-2000:]}")
            time.sleep(1)
        return found

    def _made_key(self, name: str) -> Path:
        """What signs tokens."""
        file = self._folder / f"{name}.key"
        private = generate_private_key(65537, 2048)
        file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        return file

    def _run(self, part: str, *arguments: str) -> Path:
        """Start a part; its log."""
        log = self._folder / f"{part}-{len(self._processes)}.log"
        with log.open("wb") as out:
            self._processes.append(subprocess.Popen([self._program, part, *arguments], stdout=out, stderr=out))
        return log


def _kubeconfig(server: str, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }  # fmt: skip
