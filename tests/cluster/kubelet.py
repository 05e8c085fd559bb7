"""A kubelet of ours: the container of a pod is a process on this machine.

It takes every pod that waits for a node, gives the process the environment, the files and the tokens that the pod asks
for, and tells the API server how it ended. A container without a command, whose program is its image's, runs nothing.
"""

import os
import subprocess
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster.control_plane import ApiError, Cluster
from e2e.certificates import Certificates
from e2e.gate import Answer, Forward, Gate, Request

NODE = "here"
PAUSE_SECONDS = 0.3

Environment = Callable[[Mapping[str, str]], Mapping[str, str]]


@dataclass
class Running:
    """A pod, once it has been started."""

    pod: dict[str, Any]
    folder: Path
    process: "subprocess.Popen[bytes] | None"
    told: bool = False
    """Whether the API server knows that it has ended."""


class Kubelet:
    """Runs pods while it is open: `with Kubelet(cluster, folder, certificates, image=..., here=...)`."""

    def __init__(
        self, cluster: Cluster, folder: Path, certificates: Certificates, *, image: Path, here: Environment
    ) -> None:
        """`image`: the folder of the programs of every image; `here`: an environment with what this machine needs."""
        self._cluster, self._folder, self._image, self._here = cluster, folder, image, here
        self._pods: dict[str, Running] = {}
        self._ends = threading.Event()
        self._logs = Gate(0, self._log, certificates)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Kubelet":
        self._logs.__enter__()
        self._cluster.apply([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}])
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._logs.port}},
        }
        self._patch(f"/api/v1/nodes/{NODE}/status", {"status": status})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()
        for each in self._pods.values():
            self._stop(each)
        self._logs.__exit__(None, None, None)

    def _run(self) -> None:
        while not self._ends.wait(PAUSE_SECONDS):
            try:
                for pod in self._cluster.call("GET", "/api/v1/pods")["items"]:
                    self._look_after(pod)
            except ApiError as error:
                if error.status not in (404, 409):  # it was deleted or changed while it was looked at
                    raise

    def _look_after(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        running = self._pods.get(meta["uid"])
        if meta.get("deletionTimestamp"):
            if running:
                self._stop(running)
            self._cluster.call("DELETE", path, {"gracePeriodSeconds": 0})
        elif "nodeName" not in pod["spec"]:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]}, "target": target}
            self._cluster.call("POST", f"{path}/binding", body)
        elif running is None and pod["status"]["phase"] == "Pending":
            self._pods[meta["uid"]] = self._start(pod)
            self._patch(f"{path}/status", status("Running", pod, {"running": {}}))
        elif running and running.process and not running.told and (code := running.process.poll()) is not None:
            running.told = True
            ended = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
            self._patch(f"{path}/status", status("Failed" if code else "Succeeded", pod, ended))

    # ----- one pod -----

    def _start(self, pod: dict[str, Any]) -> Running:
        container = pod["spec"]["containers"][0]
        folder = self._folder / pod["metadata"]["uid"]
        folder.mkdir(parents=True)
        if not container.get("command"):
            return Running(pod, folder, None)
        places = {}
        for volume in pod["spec"].get("volumes", ()):
            place = folder / "volumes" / volume["name"]
            place.mkdir(parents=True)
            for name, content in self._files(pod, volume):
                (place / name).write_bytes(content)
            places[volume["name"]] = str(place)
        mounts = {each["mountPath"]: places[each["name"]] for each in container.get("volumeMounts", ())}

        def placed(text: str) -> str:
            for mount in sorted(mounts, key=len, reverse=True):
                text = text.replace(mount, mounts[mount])
            return text

        given = {name: placed(value) for name, value in self._environment(pod, container)}
        env = {"HOME": str(folder), **self._here(given), "PATH": f"{self._image}{os.pathsep}{os.environ['PATH']}"}
        command = [placed(part) for part in (*container["command"], *container.get("args", ()))]
        command[0] = str(self._image / command[0])
        with (folder / "log").open("wb") as log:
            return Running(pod, folder, subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log))

    def _stop(self, running: Running) -> None:
        if running.process:
            running.process.kill()
            running.process.wait()

    def _environment(self, pod: dict[str, Any], container: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for entry in container.get("env", ()):
            source = entry.get("valueFrom", {})
            if "secretKeyRef" in source:
                yield entry["name"], self._content(pod, "secrets", **source["secretKeyRef"]).decode()
            elif "configMapKeyRef" in source:
                yield entry["name"], self._content(pod, "configmaps", **source["configMapKeyRef"]).decode()
            else:
                assert not source, f"this kubelet does not know {source}"
                yield entry["name"], entry.get("value", "")

    def _files(self, pod: dict[str, Any], volume: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
        meta, account = pod["metadata"], pod["spec"]["serviceAccountName"]
        for source in volume.get("projected", {}).get("sources", ()):
            if token := source.get("serviceAccountToken"):
                subject = f"system:serviceaccount:{meta['namespace']}:{account}"
                audience = token.get("audience", self._cluster.issuer)
                yield token["path"], self._cluster.token(subject, audience, pod=meta).encode()
        if "configMap" in volume:
            for name in self._object(pod, "configmaps", volume["configMap"]["name"])["data"]:
                yield name, self._content(pod, "configmaps", volume["configMap"]["name"], name)

    def _content(self, pod: dict[str, Any], kind: str, name: str, key: str) -> bytes:
        content = self._object(pod, kind, name)["data"][key]
        return b64decode(content) if kind == "secrets" else str(content).encode()

    def _object(self, pod: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._cluster.call(
            "GET", f"/api/v1/namespaces/{pod['metadata']['namespace']}/{kind}/{name}"
        )
        return found

    # ----- what it tells -----

    def _patch(self, path: str, body: object) -> None:
        self._cluster.call("PATCH", path, body, content_type="application/strategic-merge-patch+json")

    def _log(self, request: Request, forward: Forward) -> Answer:
        """For `kubectl logs`: /containerLogs/NAMESPACE/POD/CONTAINER."""
        _, kind, namespace, name, _ = request.path.split("/")
        assert kind == "containerLogs"
        for running in self._pods.values():
            meta = running.pod["metadata"]
            if (meta["namespace"], meta["name"]) == (namespace, name):
                return Answer(200, (running.folder / "log").read_bytes(), {"Content-Type": "text/plain"})
        return Answer(404)


def status(phase: str, pod: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """What the API server is told of a pod."""
    runs = phase == "Running"
    return {
        "status": {
            "phase": phase,
            "conditions": [
                {"type": kind, "status": "True" if runs else "False"} for kind in ("Ready", "ContainersReady")
            ],
            "containerStatuses": [
                {
                    "name": each["name"],
                    "state": state,
                    "ready": runs,
                    "restartCount": 0,
                    "image": each["image"],
                    "imageID": "",
                }
                for each in pod["spec"]["containers"]
            ],
        }
    }
