from __future__ import annotations

from pathlib import Path

import pytest

from modelcar.distribution.registries import DEFAULT, MIB, REGISTRIES, RegistryProfile, find_registry


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("ghcr.io", "GitHub Container Registry"),
        ("GHCR.io", "GitHub Container Registry"),
        ("containers.octocorp.ghe.com", "GitHub Container Registry"),
        ("europe-docker.pkg.dev", "Google Artifact Registry"),
        ("eu.gcr.io", "Google Artifact Registry"),
        ("public.ecr.aws", "Amazon ECR Public"),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "Amazon ECR"),
        ("team.azurecr.io", "Azure Container Registry"),
        ("quay.io", "Quay"),
        ("quay.io:443", "Quay"),
        ("harbor.example.com", "Harbor"),
        ("team.jfrog.io", "JFrog Artifactory"),
        ("docker.io", "Docker Hub"),
        ("image-registry.openshift-image-registry.svc:5000", "OpenShift's registry"),
        ("default-route-openshift-image-registry.apps.ocp.example.com", "OCI registry"),
        ("localhost:5000", "OCI registry"),
        ("registry.example.com", "OCI registry"),
        ("not-ghcr.io", "OCI registry"),
        ("ghcr.io.example.com", "OCI registry"),
        ("image-registry.openshift-image-registry.svc:8443", "OCI registry"),
    ],
)
def test_a_registry_is_found_by_its_host(host: str, name: str) -> None:
    assert find_registry(host).name == name


@pytest.mark.parametrize("profile", [DEFAULT, *REGISTRIES], ids=lambda profile: profile.name)
def test_every_row_says_where_its_facts_are_from(profile: RegistryProfile) -> None:
    assert profile.sources
    assert all(source.startswith("https://") for source in profile.sources)


def test_only_a_registry_of_the_cluster_takes_the_token_of_a_pod() -> None:
    assert [profile.name for profile in REGISTRIES if profile.takes_pod_token] == ["OpenShift's registry"]


@pytest.mark.parametrize(
    ("host", "most"),
    [
        ("1.dkr.ecr.us-east-1.amazonaws.com", 52_000 * MIB),
        ("public.ecr.aws", 10_000 * MIB),
        ("quay.io", 20 * 1024 * MIB),
        ("x.azurecr.io", 200 * 1024 * MIB),
        ("localhost:5000", None),
    ],
)
def test_the_largest_layer_is_known_where_somebody_says_it(host: str, most: int | None) -> None:
    assert find_registry(host).max_layer_bytes == most


def test_the_page_on_registries_names_every_row_and_every_host() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "registries.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    told = {row[0].removeprefix("| "): row for row in rows}
    for profile in (*REGISTRIES, DEFAULT):
        row = told[profile.name]
        assert row[1] == (", ".join(f"`{host}`" for host in profile.hosts) or "any other")
        assert (row[3] == "yes", row[4] == "if it can") == (profile.takes_chunks, profile.resumes)
        assert row[6].removesuffix(" |") == ("its makers" if profile.verified else "reports")
