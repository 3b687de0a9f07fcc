"""Where images are kept: OCI registries over HTTP, and OCI layout directories."""
