"""Hands the synthesized JSON to HCP Terraform: committed to a repository, as an archive, or uploaded with a run."""
