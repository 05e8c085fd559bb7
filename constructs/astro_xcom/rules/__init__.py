"""The rules that names and values have to follow, each with its source: a file for each cloud, and one for all."""
