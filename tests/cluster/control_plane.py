"""A real API server, etcd and controller manager on loopback, from one Go program (server/), built once."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

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

    def get(self, *arguments: str) -> Any:
        """What is there, as JSON."""
        done = self.kubectl("get", *arguments, "--output=json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def apply(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Create things, or change them."""
        done = self.kubectl("apply", "--filename=-", given=yaml.safe_dump_all(documents))
        assert done.returncode == 0, done.stderr

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
    """Serves while it is open: `with ControlPlane(program, folder) as cluster`."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Cluster:
        try:
            return self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _start(self) -> Cluster:
        clients, peers, port = (free_port() for _ in range(3))
        token, key = secrets.token_urlsafe(), self._folder / "accounts.key"
        private = generate_private_key(65537, 2048)
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        (self._folder / "tokens").write_text(f'{token},administrator,1,"system:masters"\n')
        kubeconfig = self._folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(f"https://127.0.0.1:{port}", token)))
        (self._folder / "bin").mkdir()
        kubectl = self._folder / "bin" / "kubectl"
        kubectl.write_text(f'#!/bin/sh\nexec "{self._program}" kubectl "$@"\n')
        kubectl.chmod(0o755)
        etcd = f"http://127.0.0.1:{clients}"
        self._run("etcd", str(self._folder / "etcd"), etcd, f"http://127.0.0.1:{peers}")
        wait_for(clients, self._processes[-1], START_SECONDS)
        self._run(
            "apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}",
            f"--cert-dir={self._folder / 'certificates'}", f"--token-auth-file={self._folder / 'tokens'}",
            "--authorization-mode=RBAC", f"--service-account-issuer={ISSUER}", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.96.0.0/16",
            "--advertise-address=192.0.2.1",  # of no use, and may not be on loopback
        )  # fmt: skip
        found = Cluster(kubeconfig, os.pathsep.join([str(kubectl.parent), os.environ["PATH"]]))
        deadline = time.monotonic() + START_SECONDS
        while found.kubectl("get", "--raw=/readyz").returncode:
            if time.monotonic() > deadline or self._processes[-1].poll() is not None:
                raise RuntimeError(
                    f"the API server does not start: {(self._folder / 'apiserver.log').read_text()[-2000:]}"
                )
            time.sleep(1)
        # Without a kubelet no node has heartbeats: what looks for them would take pods away.
        self._run(
            "controller-manager", f"--kubeconfig={kubeconfig}", f"--service-account-private-key-file={key}",
            "--leader-elect=false", "--use-service-account-credentials=false", f"--secure-port={free_port()}",
            "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller",
        )  # fmt: skip
        return found

    def _run(self, part: str, *arguments: str) -> None:
        with (self._folder / f"{part}.log").open("wb") as log:
            self._processes.append(subprocess.Popen([self._program, part, *arguments], stdout=log, stderr=log))


def _kubeconfig(server: str, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }  # fmt: skip
