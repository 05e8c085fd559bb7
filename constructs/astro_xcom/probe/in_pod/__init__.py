"""What runs in the agents' pods, as files of a ConfigMap: nothing here may import anything else of this package."""
