"""The GitOps tree that Argo CD applies: models added to it, Secrets made in the cluster, and what became of it all."""

from typing import Final

NAMESPACE: Final = "private-ai-demo"
"""Where the tree's models are served, and its pipelines run."""
