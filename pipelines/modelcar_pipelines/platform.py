"""What steps need of the cluster: secrets, config maps, certificates, retries, time and memory; all in one place.

Every object named here is optional. A pipeline runs where none of them is; the ones that are there are used.

========================  ==========  =====================================================================
object in the namespace   kind        what it holds
========================  ==========  =====================================================================
`modelcar-config`         ConfigMap   addresses and switches: `MODEL_REGISTRY_URL`, `MODELCAR_GIT_URL`, …
`modelcar-hub`            Secret      `token`: of the Hub
`modelcar-s3`             Secret      an S3 server and its keys, under the names that a data connection has
`modelcar-git`            Secret      `username`, `password`: of the git repository that Argo CD watches
`modelcar-registry`       Secret      `.dockerconfigjson`: pushes images, and pulls the base
`modelcar-model-registry` Secret      `token`: of the Model Registry, where the ServiceAccount's does not do
`modelcar-ca`             ConfigMap   `*.crt`: trusted beside the system's (OpenShift injects `ca-bundle.crt`)
`modelcar-pull`           Secret      pulls the step image
========================  ==========  =====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kfp import dsl, kubernetes

from modelcar.steps import surroundings

if TYPE_CHECKING:
    from kfp.dsl import PipelineTask

    from modelcar_pipelines.sizes import TrainingSize

CONFIG = "modelcar-config"
HUB, S3, GIT, REGISTRY, MODEL_REGISTRY, PULL = (
    f"modelcar-{name}" for name in ("hub", "s3", "git", "registry", "model-registry", "pull")
)
CA = "modelcar-ca"
MOUNTS = str(surroundings.MOUNTS)

GPU = "nvidia.com/gpu"

SETTINGS = (
    "HF_ENDPOINT",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "MODELCAR_BASE_IMAGE",
    "MODELCAR_DEBUG",
    "MODELCAR_GIT_URL",
    "MODELCAR_PLAIN_HTTP",
    "MODEL_REGISTRY_URL",
    "NO_PROXY",
)
"""Keys of `modelcar-config`; each becomes the variable of its name."""

DATA_CONNECTION = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_S3_ENDPOINT",
    "AWS_DEFAULT_REGION",
    "AWS_S3_BUCKET",
)
"""Keys of `modelcar-s3`, which is a data connection of OpenShift AI; each becomes the variable of its name."""

WORKSPACE_SIZE = "100Gi"
WORKSPACE = dsl.WorkspaceConfig(
    size=WORKSPACE_SIZE, kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch={"accessModes": ["ReadWriteOnce"]})
)
FAILED_RUN_KEPT_S = 24 * 3600
WITH_WORKSPACE = dsl.PipelineConfig(workspace=WORKSPACE, ttl_seconds_after_failure=FAILED_RUN_KEPT_S)
"""A volume for the run. It is made with the run and goes with it when the run succeeds; that of a failed run stays for
a day, to be looked at, and goes with the run's workflow and pods (measured). Without that limit it would stay until
somebody deletes the run, and a schedule that fails each night would fill the storage. The server keeps the run."""

RETRIES = 2
FIRST_WAIT = "10s"
"""Short, because the library waits and asks again by itself before a step fails, and a wrong input stays wrong."""
LONGEST_RETRYING = "3600s"
"""Argo gives up when this much time has passed since the first attempt began, whatever attempts are left; KFP takes no
more. So a step that fails after more than an hour is not tried again by KFP, only by the library's own retries."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one kind of step needs.

    Attributes:
        title: What people read.
        timeout_s: After this many seconds it is ended.
        cpu: Request.
        cpu_limit: What it may use when there is more; several cores where models are hashed or trained.
        memory: Request and limit.
        secrets: Which of the secrets above it sees.
        retries: How often it is tried again.
        tolerations: Keys of taints on nodes that it may run on.
        gpus: Whole GPUs that it gets for itself.
    """

    title: str
    timeout_s: int
    cpu: str = "100m"
    cpu_limit: str = "1"
    memory: str = "512Mi"
    secrets: tuple[str, ...] = ()
    retries: int = RETRIES
    tolerations: tuple[str, ...] = ()
    gpus: int = 0


RESOLVE = Step("Resolve", 900, secrets=(HUB, S3, GIT, REGISTRY, MODEL_REGISTRY))
DOWNLOAD = Step("Download", 6 * 3600, cpu="500m", cpu_limit="4", memory="1Gi", secrets=(HUB, S3))
PUSH = Step("Build and push", 6 * 3600, cpu="500m", cpu_limit="4", memory="1Gi", secrets=(HUB, S3, REGISTRY))
REGISTER = Step("Register", 900, secrets=(REGISTRY, MODEL_REGISTRY))
PATCH = Step("Patch", 900, secrets=(GIT, REGISTRY))
RETRAIN = Step("Retrain", 24 * 3600, cpu="1", cpu_limit="8", memory="8Gi", secrets=(HUB, S3), tolerations=(GPU,))
CHECK = Step("Check metrics", 900, retries=0)
REPORT = Step("Report", 900, secrets=(GIT, REGISTRY))
REPORT_SKIPPED = Step("Report skipped", 900)
REPORT_FAILURE = Step("Report failures", 900, retries=0)


def prepare(task: PipelineTask, step: Step) -> PipelineTask:
    """Give a task what its step needs.

    Args:
        task: Of a pipeline that is being defined; changed.
        step: Which kind of step it is.

    Returns:
        The task.
    """
    task.set_display_name(step.title)
    # Every step reads or changes what is outside; yesterday's answer is no answer.
    task.set_caching_options(False)
    if step.retries:
        task.set_retry(step.retries, FIRST_WAIT, 2.0, LONGEST_RETRYING)
    task.set_cpu_request(step.cpu)
    task.set_cpu_limit(step.cpu_limit)
    task.set_memory_request(step.memory)
    task.set_memory_limit(step.memory)
    if step.gpus:
        task.set_accelerator_type(GPU).set_accelerator_limit(step.gpus)
    kubernetes.set_timeout(task, step.timeout_s)
    kubernetes.set_image_pull_secrets(task, [PULL])
    kubernetes.empty_dir_mount(task, "tmp", "/tmp")  # noqa: S108 - the one place that a step writes to
    kubernetes.use_config_map_as_env(task, CONFIG, {name: name for name in SETTINGS}, optional=True)
    kubernetes.use_config_map_as_volume(task, CA, f"{MOUNTS}/ca", optional=True)
    for key in step.tolerations:
        kubernetes.add_toleration(task, key=key, operator="Exists", effect="NoSchedule")
    for secret in step.secrets:
        _SECRETS[secret](task)
    return task


def sized(training: TrainingSize) -> Step:
    """`RETRAIN` with what it gets instead; cores are a limit as well as a request, so that others cannot take them."""
    return replace(
        RETRAIN,
        memory=training.memory or RETRAIN.memory,
        cpu=training.cpu or RETRAIN.cpu,
        cpu_limit=training.cpu or RETRAIN.cpu_limit,
        gpus=training.gpus or RETRAIN.gpus,
    )


def _see_hub(task: PipelineTask) -> None:
    kubernetes.use_secret_as_env(task, HUB, {"token": "HF_TOKEN"}, optional=True)


def _see_s3(task: PipelineTask) -> None:
    kubernetes.use_secret_as_env(task, S3, {name: name for name in DATA_CONNECTION}, optional=True)


def _see_git(task: PipelineTask) -> None:
    names = {"username": "MODELCAR_GIT_USERNAME", "password": "MODELCAR_GIT_TOKEN"}
    kubernetes.use_secret_as_env(task, GIT, names, optional=True)


def _see_registry(task: PipelineTask) -> None:
    kubernetes.use_secret_as_volume(task, REGISTRY, f"{MOUNTS}/registry", optional=True)


def _see_model_registry(task: PipelineTask) -> None:
    kubernetes.use_secret_as_env(task, MODEL_REGISTRY, {"token": "MODEL_REGISTRY_TOKEN"}, optional=True)


_SECRETS = {HUB: _see_hub, S3: _see_s3, GIT: _see_git, REGISTRY: _see_registry, MODEL_REGISTRY: _see_model_registry}
