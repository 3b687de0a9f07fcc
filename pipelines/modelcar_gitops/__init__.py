"""The GitOps tree that Argo CD applies: models added to it, Secrets made in the cluster, and what became of it all."""
