"""Jobs that show in the cluster, before any DAG runs, that XComs work: their manifests and what they found."""
