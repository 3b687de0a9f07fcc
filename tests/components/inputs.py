"""What components are given here, and what has to be there before."""

from __future__ import annotations

from modelcar.build import BuildRequest, execute, prepare
from modelcar.delivery.inference_service import read_storage_uri
from modelcar.distribution.client import Access
from modelcar_sandbox.demo_data import write_demo_data
from modelcar_sandbox.git_tree import INFERENCE_SERVICE
from modelcar_sandbox.hub import Hub
from modelcar_sandbox.sandbox import DEMO_DATA, DEMO_MODEL
from promotion.place import Place
from promotion.services import Services

SOURCE = f"hf://{DEMO_MODEL}"
COMMIT_HASH = "9bf26a6361740d85714bcebc195767a5d5e5d8a1"
DIGEST = "sha256:785dfbb8b1e9eff05fe27776204ae5f8131a535fcd21bd6f45b8e73c129e5c3d"
"""Of the demo model's image, on whatever machine."""
DATA_COMMIT = "35e8296269f88b1168bbbcbfcc3acc06425e2bfe"
"""Of the data set's first variant, as its content says."""
TRAINING = f"""\
training:
  data: hf://{DEMO_DATA}
  entryPoint: modelcar_sandbox.stand_in_trainer:train
  parameters: {{loss: "1.5"}}
  floors: {{loss: at most 2}}
"""


def push_image(place: Place) -> str:
    """Push the demo model's image in this process; `registry/repository@sha256:…`."""
    spec = place.spec()
    request = BuildRequest(
        source=spec.model.source,
        destination=spec.image.repository.tagged(spec.image.tag),
        base_image=spec.image.base_image,
        platforms=spec.image.platforms,
    )
    return execute(prepare(request, Access(plain_http=True))).image


def serving(place: Place) -> str:
    """The storageUri in the manifest."""
    return read_storage_uri(place.manifest().decode(), name=INFERENCE_SERVICE)


def patch_arguments(place: Place, image: str) -> dict[str, str]:
    """Of patch_inference_service, for an image that is there."""
    return {
        "image": image,
        "source": SOURCE,
        "serving": serving(place),
        "registered_model": "demo-llama",
        "version": "785dfbb8b1e9",
        "registered_model_id": "11",
        "model_version_id": "12",
        "spec": place.spec_text(),
        "commit_hash": COMMIT_HASH,
    }


def publish_data(services: Services, variant: int = 1) -> str:
    """Publish a data set to train on; returns its commit."""
    directory = services.directory / f"data-{variant}"
    write_demo_data(directory, variant=variant)
    return Hub(services.directory / "hub").publish(DEMO_DATA, directory)
