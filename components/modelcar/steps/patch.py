"""The step that commits an image to git."""

from __future__ import annotations

import time
from typing import NamedTuple

from modelcar.delivery.repository import open_repository
from modelcar.lineage import Provenance, compute_promotion_key, patch
from modelcar.model_registry.registration import RegisteredVersion
from modelcar.promotion import target_of
from modelcar.registering import look_up
from modelcar.spec import InferenceServiceSpec
from modelcar.steps.fields import read_part
from modelcar.steps.record import write_record
from modelcar.steps.running import say, step
from modelcar.steps.surroundings import make_access


class Patched(NamedTuple):
    """What later steps are given.

    Attributes:
        commit: Hash of the commit that carries the image; empty when the manifest had it without a commit of ours.
        record: For the report; `changed` says whether the commit was made since the run began, in whichever attempt.
    """

    commit: str
    record: str


@step("Patch")
def patch_inference_service(
    spec: str,
    fields: dict[str, str],
    *,
    serving: str,
    image: str,
    source: str,
    commit_hash: str,
    registered_model: str,
    version: str,
    registered_model_id: str,
    model_version_id: str,
) -> Patched:
    """Write an image's digest into the InferenceService manifest in git, as one commit, once.

    Args:
        spec: A PromotionSpec as YAML or JSON, of which `inferenceService` counts; blank when the fields say it.
        fields: Single fields.
        serving: The storageUri that the manifest had when the run began; another one now means that somebody else was
            faster.
        image: `registry/repository@sha256:…`.
        source: Where the model comes from, without revision.
        commit_hash: The source's commit; empty where it has none.
        registered_model: Name in the Model Registry.
        version: Name in the Model Registry.
        registered_model_id: For the manifest's label.
        model_version_id: For the manifest's label and the commit.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    started = time.monotonic()
    where: InferenceServiceSpec = read_part(spec, ("inferenceService",), fields)["inference_service"]
    stored = look_up(image, make_access())
    provenance = Provenance(stored.image, stored.content_key, source, None, commit_hash or None, stored.size_bytes)
    uri = f"oci://{stored.image}"
    registered = RegisteredVersion(registered_model_id, model_version_id, "", registered_model, version, uri, ())
    with open_repository(target_of(where)) as repository:
        key = compute_promotion_key(where, repository.read().namespace, provenance, registered)
        delivered = patch(repository, where, serving, provenance, registered, key)
    # An attempt before this one may have made the commit: the run found another image in the manifest when it began.
    changed = delivered.changed or (delivered.commit is not None and serving != uri)
    if delivered.changed:
        say(f"{where.path} on {where.branch}: commit {delivered.commit}\n{delivered.diff}")
    elif changed:
        say(f"{where.path} on {where.branch}: commit {delivered.commit} was made since the run began")
    else:
        say(f"{where.path} on {where.branch} says so already: no commit")
    record = write_record(started, changed=changed, promotion_key=key)
    return Patched(delivered.commit or "", record)
