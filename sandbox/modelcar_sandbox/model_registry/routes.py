"""Every path, and what answers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from modelcar_sandbox.model_registry.artifact_calls import (
    create_artifact,
    create_model_artifact,
    list_artifacts,
    update_artifact,
    update_model_artifact,
    upsert_artifact,
)
from modelcar_sandbox.model_registry.call import Answer, Call, Handler
from modelcar_sandbox.model_registry.entities import (
    ARTIFACTS,
    INFERENCE_SERVICE,
    MODEL_ARTIFACT,
    MODEL_VERSION,
    REGISTERED_MODEL,
    SERVING,
    SERVING_ENVIRONMENT,
    Kind,
)
from modelcar_sandbox.model_registry.entity_calls import (
    FILTERED,
    create_entity,
    create_in,
    create_version,
    find_entity,
    get_entity,
    list_entities,
    list_owned,
    update_entity,
)
from modelcar_sandbox.model_registry.serving_calls import record_serving, served_model, served_version


def routes() -> Sequence[tuple[str, str, Handler]]:
    """Method, path below the base, and what answers it."""
    create_service = create_in("servingEnvironmentId")
    return (
        *_entity_routes("registered_model", REGISTERED_MODEL, create_entity),
        ("GET", "/registered_models/<id>/versions", partial(list_owned, MODEL_VERSION, REGISTERED_MODEL)),
        ("POST", "/registered_models/<id>/versions", create_version),
        *_entity_routes("model_version", MODEL_VERSION, create_in("registeredModelId")),
        ("GET", "/model_versions/<id>/artifacts", partial(list_artifacts, owner=MODEL_VERSION)),
        ("POST", "/model_versions/<id>/artifacts", upsert_artifact),
        *_entity_routes("serving_environment", SERVING_ENVIRONMENT, create_entity),
        (
            "GET",
            "/serving_environments/<id>/inference_services",
            partial(list_owned, INFERENCE_SERVICE, SERVING_ENVIRONMENT),
        ),
        ("POST", "/serving_environments/<id>/inference_services", partial(create_service, INFERENCE_SERVICE)),
        *_entity_routes("inference_service", INFERENCE_SERVICE, create_service),
        ("GET", "/inference_services/<id>/model", served_model),
        ("GET", "/inference_services/<id>/version", served_version),
        ("GET", "/inference_services/<id>/serves", partial(list_owned, SERVING, INFERENCE_SERVICE)),
        ("POST", "/inference_services/<id>/serves", record_serving),
        ("GET", "/artifact", partial(find_entity, ARTIFACTS, ARTIFACTS)),
        ("GET", "/artifacts", list_artifacts),
        ("POST", "/artifacts", create_artifact),
        ("GET", "/artifacts/<id>", partial(get_entity, ARTIFACTS, "artifact")),
        ("PATCH", "/artifacts/<id>", update_artifact),
        ("GET", "/model_artifact", partial(find_entity, ARTIFACTS, (MODEL_ARTIFACT,))),
        ("GET", "/model_artifacts", partial(list_entities, (MODEL_ARTIFACT,), filtered=False)),
        ("POST", "/model_artifacts", create_model_artifact),
        ("GET", "/model_artifacts/<id>", partial(get_entity, (MODEL_ARTIFACT,), "model artifact")),
        ("PATCH", "/model_artifacts/<id>", update_model_artifact),
    )


def _entity_routes(path: str, kind: Kind, create: Callable[[Kind, Call], Answer]) -> list[tuple[str, str, Handler]]:
    return [
        ("GET", f"/{path}", partial(find_entity, (kind,), (kind,))),
        ("GET", f"/{path}s", partial(list_entities, (kind,), filtered=kind in FILTERED)),
        ("POST", f"/{path}s", partial(create, kind)),
        ("GET", f"/{path}s/<id>", partial(get_entity, (kind,), kind.title)),
        ("PATCH", f"/{path}s/<id>", partial(update_entity, kind)),
    ]
