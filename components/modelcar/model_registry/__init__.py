"""The Kubeflow Model Registry: what was promoted, found again by content."""
