"""A stack as the archive that HCP Terraform takes."""

import gzip
import io
import tarfile

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.hcp.stack_files import StackFiles, body, local_files

HINTS = {"config_path": "cluster.name instead of cluster.kubeconfig", "chart": "a chart in a registry"}


def archive(files: StackFiles) -> bytes:
    """A tar.gz with the files at its root. The same files give the same bytes."""
    packed = io.BytesIO()
    # GzipFile, since gzip.compress writes other header bytes in Python 3.10 than later.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(path)  # owner 0, time 0, mode 0644
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def check_self_contained(name: str, files: StackFiles) -> None:
    """Refuse a stack that reads files which the archive does not hold."""
    problems = []
    for place, path in local_files(body(files)):
        hint = HINTS[place.rpartition(".")[2]]
        problem = SettingError("is a file of this machine, which HCP Terraform does not have", got=path, hint=hint)
        problems.append(f"{name}: {place}: {problem}")
    if problems:
        raise SettingErrors(problems)
