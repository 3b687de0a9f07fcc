"""What a promotion talks to, asked with the clients and credentials that it would use."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from modelcar.delivery.credentials import Credentials, check_url
from modelcar.delivery.git import Git
from modelcar.delivery.inference_service import SCHEME
from modelcar.errors import DistributionError, InvalidReference, PromotionError
from modelcar.reference import ImageReference
from modelcar_gitops.doctor.checks import Check
from modelcar_gitops.doctor.findings import Finding, Sign
from modelcar_gitops.doctor.place import CONFIG, REACHABLE, Place
from modelcar_pipelines.surroundings import is_service

_GIT_TIMEOUT_S: Final = 12.0


def list_checks(place: Place, storage_uris: Sequence[str]) -> list[Check]:
    """Everything to reach but the cluster itself.

    Args:
        place: Where settings were found.
        storage_uris: Of InferenceServices: promotions push to the registries that they name.
    """
    return [
        _configured(place, "Model Registry", "MODEL_REGISTRY_URL", _look_at_model_registry),
        Check(
            REACHABLE,
            "pipeline server",
            lambda: _look_at_pipeline_server(place),
            place.env.get("KF_PIPELINES_ENDPOINT", ""),
        ),
        *_list_registries(place, storage_uris),
        _configured(place, "git repository", "MODELCAR_GIT_URL", _look_at_git),
    ]


def _configured(place: Place, subject: str, variable: str, look: Callable[[Place, str], Finding]) -> Check:
    """A check of what a setting names; without the setting, it says so."""

    def check() -> list[Finding]:
        url = place.env.get(variable)
        if url:
            return [_from_here(place, subject, url, lambda: look(place, url))]
        if place.config and place.cluster is None:
            told = f"{variable} is not set, and the ConfigMap {CONFIG} {place.config}"
            return [Finding(REACHABLE, subject, Sign.CANNOT_TELL, told, f"Set {variable} to ask it all the same.")]
        told = f"{variable} is not set, and the ConfigMap {CONFIG} " + (place.config or "does not have it")
        way_out = f"Put {variable} into that ConfigMap, in git; specs that name it themselves do without."
        return [Finding(REACHABLE, subject, Sign.MISSING, told, way_out)]

    return Check(REACHABLE, subject, check, place.env.get(variable, ""))


def _from_here(place: Place, subject: str, url: str, look: Callable[[], Finding]) -> Finding:
    """A look at an address, which may be one that only pods of the cluster reach."""
    try:
        return look()
    except PromotionError as error:
        outside = place.cluster is None or not place.cluster.inside
        silent = error.retryable or (isinstance(error, DistributionError) and error.status is None)
        if not (outside and silent and is_service(url)):
            raise
        told = f"{url} is reached from inside the cluster only, and this is no pod of it"
        return Finding(REACHABLE, subject, Sign.CANNOT_TELL, told, "Run modelcar doctor in a workbench there.")


def _look_at_model_registry(place: Place, url: str) -> Finding:
    from modelcar.model_registry.client import Connection

    connection = Connection.from_environment(env=place.env, attempts=1)
    connection.call(lambda api: api.get_registered_models(page_size="1"), lambda answer: answer["items"])
    return Finding(REACHABLE, "Model Registry", Sign.OK, f"{url} answers, and lets you list models")


def _look_at_pipeline_server(place: Place) -> list[Finding]:
    from modelcar_pipelines.connection import connect

    subject = "pipeline server"
    if not place.there and not place.env.get("KF_PIPELINES_ENDPOINT"):
        told = "the namespace that knows where it is cannot be asked"
        return [Finding(REACHABLE, subject, Sign.CANNOT_TELL, told, "Set KF_PIPELINES_ENDPOINT to ask it.")]
    server = connect(namespace=place.namespace, attempts=1, env=place.env)

    def look() -> Finding:
        server.check()
        return Finding(REACHABLE, subject, Sign.OK, f"{server.url} answers, and lets you in")

    return [_from_here(place, subject, server.url, look)]


def _list_registries(place: Place, storage_uris: Sequence[str]) -> list[Check]:
    """One check for each registry, with the first repository that is named of it."""
    images: dict[str, ImageReference] = {}
    for uri in storage_uris:
        try:
            image = ImageReference.parse(uri.removeprefix(SCHEME))
        except InvalidReference:
            continue  # not a ModelCar
        images.setdefault(image.registry, image)
    if not images:
        told = "no InferenceService that can be read names an image, so it is not known which"
        finding = Finding(REACHABLE, "OCI registry", Sign.CANNOT_TELL, told)
        return [Check(REACHABLE, "OCI registry", lambda: [finding])]
    return [_check_registry(place, image) for _, image in sorted(images.items())]


def _check_registry(place: Place, image: ImageReference) -> Check:
    def look() -> Finding:
        from modelcar.distribution.client import Registry
        from modelcar.distribution.upload import push_scope
        from modelcar.steps.surroundings import make_access

        registry = Registry(image.registry, image.repository, make_access(1, dict(place.env)))
        try:
            with registry.request("GET", "/v2/", scope=push_scope(image.repository), timeout_s=8) as answer:
                if answer.status_code != HTTPStatus.OK:
                    raise registry.error(answer, "let you in")
        finally:
            registry.close()
        return Finding(REACHABLE, "OCI registry", Sign.OK, f"{image.registry} answers, and lets you in")

    def check() -> list[Finding]:
        return [_from_here(place, "OCI registry", f"https://{image.registry}", look)]

    return Check(REACHABLE, "OCI registry", check, image.registry)


def _look_at_git(place: Place, url: str) -> Finding:
    credentials = Credentials.from_environment(place.env)
    with tempfile.TemporaryDirectory(prefix="modelcar-git-", ignore_cleanup_errors=True) as scratch:
        directory = Path(scratch)
        git = Git(directory, directory, check_url(url), credentials, timeout_s=_GIT_TIMEOUT_S)
        branches = git.read("ls-remote", "--heads", url).splitlines()
    if not branches:
        told, way_out = f"{url} answers, and has no branch", "Push the GitOps tree to it."
        return Finding(REACHABLE, "git repository", Sign.MISSING, told, way_out)
    return Finding(REACHABLE, "git repository", Sign.OK, f"{url} answers, and lets you read")
