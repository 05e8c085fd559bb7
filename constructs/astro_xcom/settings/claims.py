"""What a deployment creates and grants, and when two such things are the same. No side effects, no cdktf import."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """What a thing is, as its cloud tells things apart: cases folded, scope and cloud included."""

    kind: str
    name: tuple[str, ...]
    scope: str | None = ""
    """The account in which the name is unique, where not every deployment says it. None: not said, so it may be any."""

    def may_be(self, other: "Identity") -> bool:
        """Whether both may be the same thing."""
        same_scope = self.scope == other.scope or self.scope is None or other.scope is None
        return self.kind == other.kind and self.name == other.name and same_scope


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A thing or a grant that a deployment creates: no other deployment may create it too."""

    what: Identity
    setting: str
    """Which setting says it."""
    shown: str
    """In the words of the settings."""
    way_out: str = "a name of its own"
    elsewhere: str = ""
    """A further way out where another deployment claims it."""
    within: str | None = None
    """The setting of what it is part of: if that collides, nothing needs to be said of this."""

    @property
    def rule(self) -> str:
        """What is wrong with a second deployment that claims it."""
        if self.what.kind.startswith("grant"):
            return "is granted by {first} too: the second apply would fail, or destroying one would remove it from both"
        return "is created by {first} too"


def grant(kind: str, *name: str, setting: str, shown: str, way_out: str) -> Claim:
    """A permission or trust. Two deployments that write it share one."""
    return Claim(what=Identity(f"grant: {kind}", name), setting=setting, shown=shown, way_out=way_out)
