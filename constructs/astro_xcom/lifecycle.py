"""How Terraform replaces and destroys what a construct creates."""

from cdktf import TerraformResourceLifecycle

NEW_FIRST = TerraformResourceLifecycle(create_before_destroy=True)
"""The new one is created, whoever needs it is updated, and only then the old one is destroyed.

Terraform does the same with everything that the resource depends on: not for what depends on storage, whose name can
be taken once.
"""


def protected(protect_from_destroy: bool) -> TerraformResourceLifecycle | None:
    """Refuse each plan that destroys the resource, unless that was allowed."""
    return TerraformResourceLifecycle(prevent_destroy=True) if protect_from_destroy else None
