"""The Terraform or OpenTofu that the JSON asks for."""

LEAST = (1, 10)
"""`removed` blocks that spare what they name, and S3's lock files."""
REQUIRED = f">= {'.'.join(map(str, LEAST))}"
