"""The GitOps tree that Argo CD applies: adding models to it, and secrets that are made in the cluster."""
