"""The tokens of service accounts: who signs them, and whether a cloud believes them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm
from jwt.types import Options

Clock = Callable[[], float]


class Cluster(Protocol):
    """What signs tokens, and publishes its keys."""

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens."""

    def token(self, subject: str, audience: str) -> str:
        """One of a service account, `system:serviceaccount:NAMESPACE:NAME`."""

    def keys(self) -> dict[str, Any]:
        """The JSON Web Key Set of the issuer."""


@dataclass(frozen=True)
class Invented:
    """A cluster that is nothing but a key."""

    issuer: str
    key: RSAPrivateKey = field(default_factory=partial(generate_private_key, 65537, 2048))

    def token(self, subject: str, audience: str) -> str:
        claims = {"iss": self.issuer, "aud": [audience], "sub": subject, "exp": int(time.time()) + 3600}
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "1"})

    def keys(self) -> dict[str, Any]:
        return {"keys": [{**RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": "1", "use": "sig"}]}


def unverified(token: str) -> Mapping[str, Any]:
    """What a token says of itself. Raises jwt.InvalidTokenError where it is none."""
    claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def verified(token: str, cluster: Cluster, now: float) -> Mapping[str, Any]:
    """What it says, if this cluster signed it and it has not expired; else raises jwt.InvalidTokenError.

    For whom it is, and whose, the caller compares.
    """
    key = next(
        (each.key for each in jwt.PyJWKSet.from_dict(cluster.keys()).keys
         if each.key_id == jwt.get_unverified_header(token).get("kid")),
        None,
    )  # fmt: skip
    if key is None:
        raise jwt.InvalidSignatureError("the issuer has no such key")
    by_our_clock: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    claims: Mapping[str, Any] = jwt.decode(token, key, ["RS256"], issuer=cluster.issuer, options=by_our_clock)
    if claims["exp"] <= now:
        raise jwt.ExpiredSignatureError("Token expired")
    return claims
