"""A repository of one's own, which depends on this package: what `astro-xcom init` writes."""
