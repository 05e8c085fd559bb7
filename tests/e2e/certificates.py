"""A certificate authority for loopback: some cloud clients refuse plain http, and so do our policies."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """The files of one authority and of a server on loopback."""

    ca: Path
    server: Path
    server_key: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        """Write the files into a folder."""
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1", "localhost")
        made = cls(ca=folder / "ca.pem", server=folder / "server.pem", server_key=folder / "server.key")
        authority.cert_pem.write_to_path(str(made.ca))
        server.private_key_pem.write_to_path(str(made.server_key))
        for part in server.cert_chain_pems:
            part.write_to_path(str(made.server), append=True)
        return made

    def server_context(self) -> ssl.SSLContext:
        """TLS for a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.server_key)
        return context
