"""A served model as files of the tree: an InferenceService, an ImageStream, and the PromotionSpec that fills them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from modelcar.delivery.inference_service import NEVER_BUILT
from modelcar.errors import InvalidInput
from modelcar.reference import ImageReference
from modelcar.spec.values import read_image_repository
from modelcar_gitops import NAMESPACE

IMAGE_REGISTRY: Final = "image-registry.openshift-image-registry.svc:5000"
"""OpenShift's own registry, as pods and nodes call it."""
MODEL_REGISTRY: Final = "private-ai-model-registry"
LONGEST_NAME: Final = 63 - len("-predictor")
"""Of an InferenceService: KServe makes a Service of that name with an ending, and that has 63 letters at most."""
_NO_TEXTS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Names that some reader of YAML takes for something else."""
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SET: Final = frozenset({"--port", "--model", "--served-model-name", "--tensor-parallel-size"})
"""Arguments that vLLM has already: twice, one of them would be lost."""
_QUANTITY: Final = re.compile(r"[1-9][0-9]*(Mi|Gi)")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What the tree says of a model that is served.

    Attributes:
        name: Of its InferenceService, its ImageStream, its registered model, and the model that clients ask for.
        source: A model's URI, such as `hf://org/name`.
        title: What people read.
        description: What people read below that.
        cpu: Cores that are asked for; twice as many are allowed.
        memory: What is asked for and allowed, such as 16Gi.
        gpus: How many; vLLM shards the model over them.
        arguments: Of vLLM, beside the runtime's.
        repository: Of its images, such as quay.io/team/granite; None is an ImageStream of the cluster's own registry.
    """

    name: str
    source: str
    title: str
    description: str
    cpu: int = 4
    memory: str = "32Gi"
    gpus: int = 1
    arguments: tuple[str, ...] = ()
    repository: str | None = None

    def __post_init__(self) -> None:
        """Refuse what Kubernetes, KServe or a promotion would.

        Raises:
            InvalidInput: The name, the source, the repository, a size or an argument is none; the message says why.
        """
        from modelcar.sources.open import open_source

        check_name(self.name)
        if self.source.startswith("oci://"):
            ImageReference.parse(self.source.removeprefix("oci://"))
        else:
            open_source(self.source)
        if self.repository is not None:
            read_image_repository(self.repository)
        if self.cpu < 1 or self.gpus < 0:
            raise InvalidInput(
                "a model needs a core, and no less than no GPU", hint="Give --cpu 1 or more, --gpus 0 or more."
            )
        if not _QUANTITY.fullmatch(self.memory):
            raise InvalidInput(f"{self.memory!r} is no size of memory", hint="Write it as 16Gi or 512Mi.")
        for text in (self.title, self.description, *self.arguments):
            if not text.isprintable():
                raise InvalidInput(f"{text!r} has a character that is not printable", hint="Write it on one line.")
        _check_arguments(self.arguments)

    @property
    def objects(self) -> tuple[tuple[str, str], ...]:
        """Kind and name of all that it brings into the namespace."""
        service = (("InferenceService", self.name), ("PersistentVolumeClaim", f"{self.name}-cache"))
        return service if self.repository else (*service, ("ImageStream", self.name))

    def inference_service(self) -> str:
        """The file that promotions edit: the InferenceService, and the volume for what vLLM compiles."""
        sizes = f'memory: {self.memory}, nvidia.com/gpu: "{self.gpus}"' if self.gpus else f"memory: {self.memory}"
        sharded = (f"--tensor-parallel-size={self.gpus}",) if self.gpus > 1 else ()
        arguments = "".join(f"\n        - {_quote(one)}" for one in (*sharded, *self.arguments))
        return _INFERENCE_SERVICE.format(
            name=self.name,
            word=self._word,
            title=_quote(self.title),
            description=_quote(self.description),
            registry=MODEL_REGISTRY,
            storage_uri=f"oci://{self._images}@{NEVER_BUILT}",
            arguments=f"\n      args:{arguments}" if arguments else "",
            requests=f'{{cpu: "{self.cpu}", {sizes}}}',
            limits=f'{{cpu: "{2 * self.cpu}", {sizes}}}',
            tolerations=_TOLERATIONS if self.gpus else "",
        )

    def image_stream(self) -> str:
        """The file of the repository that its images are pushed to."""
        return _IMAGE_STREAM.format(word=self._word, title=_quote(self.title))

    def promotion(self, path: str) -> str:
        """The PromotionSpec.

        Args:
            path: Of the InferenceService's file in the repository.
        """
        return _PROMOTION.format(
            word=self._word, title=self.title, source=_quote(self.source), repository=self._images, path=path
        )

    @property
    def _word(self) -> str:
        """The name as YAML reads it back."""
        return _quote(self.name) if self.name in _NO_TEXTS else self.name

    @property
    def _images(self) -> str:
        return self.repository or f"{IMAGE_REGISTRY}/{NAMESPACE}/{self.name}"


def check_name(name: str) -> None:
    """Let through a name that everything which is called by it can have.

    Raises:
        InvalidInput: It is too long, or has other characters than a Service of Kubernetes may have.
    """
    if not name.isascii() or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be the name of an InferenceService",
            hint="Write small letters, digits and dashes, with a letter first and no dash last: granite-3-3-2b.",
        )
    if len(name) > LONGEST_NAME:
        raise InvalidInput(
            f"{name!r} has {len(name)} letters; KServe adds an ending, which leaves {LONGEST_NAME}",
            hint="Choose a shorter one.",
        )


def _check_arguments(arguments: tuple[str, ...]) -> None:
    if wrong := [one for one in arguments if not one.startswith("--")]:
        raise InvalidInput(f"{wrong[0]!r} is no argument of vLLM", hint="Write it as --max-model-len=8192.")
    for one in arguments:
        if one.partition("=")[0].replace("_", "-") in _SET:
            raise InvalidInput(f"{one!r} is an argument that the ServingRuntime gives, or --gpus", hint="Leave it out.")


def _quote(text: str) -> str:
    """A text as YAML reads it back, whatever is in it: JSON, which is YAML, too."""
    return json.dumps(text, ensure_ascii=False)


_INFERENCE_SERVICE: Final = """\
# A promotion edits storageUri, the links to the Model Registry and, the first time, stop; everything else is yours.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {word}
  labels:
    opendatahub.io/dashboard: "true"
    networking.kserve.io/visibility: exposed
    modelregistry.opendatahub.io/name: {registry}
    modelregistry.opendatahub.io/registered-model-id: "0" # which model
    modelregistry.opendatahub.io/model-version-id: "0" # and which version of it
  annotations:
    openshift.io/display-name: {title}
    openshift.io/description: {description}
    serving.kserve.io/deploymentMode: RawDeployment
    security.opendatahub.io/enable-auth: "true"
    serving.kserve.io/stop: "true" # there is nothing to serve before the first promotion
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 1
    serviceAccountName: modelcar-serving
    model:
      modelFormat: {{name: vLLM}}
      runtime: vllm-cuda
      # Always by digest: a tag that moves starts no new pod.
      storageUri: {storage_uri}{arguments}
      resources:
        requests: {requests}
        limits: {limits}
    volumes:
      - {{name: cache, persistentVolumeClaim: {{claimName: {name}-cache}}}}
{tolerations}    # The volume is of one node at a time: while a new version starts, it starts beside the old one.
    affinity:
      podAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          - topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{serving.kserve.io/inferenceservice: {word}}}
---
# What vLLM compiles for this model: minutes of every start but the first.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {name}-cache
  labels:
    opendatahub.io/dashboard: "true"
  annotations:
    openshift.io/display-name: {title}
    argocd.argoproj.io/sync-options: Delete=false,Prune=false
    argocd.argoproj.io/ignore-healthcheck: "true" # some storage waits for the first pod before it makes a volume
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 10Gi}}}}
"""
_TOLERATIONS: Final = """\
    tolerations:
      - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
"""
_IMAGE_STREAM: Final = """\
# Images of one model. The tags are made by promotions, which push them.
apiVersion: image.openshift.io/v1
kind: ImageStream
metadata:
  name: {word}
  annotations:
    openshift.io/display-name: {title}
spec:
  lookupPolicy: {{local: true}}
"""
_PROMOTION: Final = """\
# {title}
# The Model Registry and the git repository are those of the ConfigMap modelcar-config, unless they are named here.
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model:
  source: {source}
image:
  repository: {repository}
modelRegistry:
  registeredModel: {word}
inferenceService:
  path: {path}
  name: {word}
"""
