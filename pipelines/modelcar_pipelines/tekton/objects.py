"""What starts promotions on Tekton by itself: a CronJob, and an EventListener for a Hub's webhook.

Each is a kustomization of its own that no other one lists: whoever lists it starts promotions.

Source: https://tekton.dev/docs/triggers/ and https://huggingface.co/docs/hub/webhooks
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from modelcar_pipelines.pipeline_file import PipelineFile
from modelcar_pipelines.tekton.pipeline_run import POD_SECURITY, make_run

PIPELINE: Final = "promote-model"
"""The pipeline that is started."""
SAMPLE_MODEL: Final = "ibm-granite/granite-3.3-2b-instruct"
SAMPLE: Final = f"""\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model:
  source: hf://{SAMPLE_MODEL}
image:
  repository: quay.io/team/granite
modelRegistry:
  registeredModel: granite-3.3-2b
inferenceService:
  path: apps/granite/inference-service.yaml
  name: granite
"""
"""What the samples promote; an overlay puts the team's own in its place."""
SCHEDULE, TRIGGER = "modelcar-schedule", "modelcar-hub"
SPEC_MAP: Final = "modelcar-promotion"
"""The ConfigMap with the PromotionSpec that is promoted, under the key `promotion.yaml`."""
WEBHOOK: Final = "modelcar-webhook"
"""The Secret with what the Hub sends along, under the key `secret`."""
_LABELS: Final = {"app.kubernetes.io/part-of": "modelcar-pipelines"}
_TRIGGERS: Final = "triggers.tekton.dev/v1beta1"
_MOUNT: Final = "/etc/modelcar/promotion"
_FILTER: Final = (
    f"header.canonical('X-Webhook-Secret').compareSecret('secret', '{WEBHOOK}') && "
    f"body.repo.type == 'model' && body.repo.name == '{SAMPLE_MODEL}' && "
    "body.event.scope.startsWith('repo.content') && body.updatedRefs.exists(ref, ref.ref == 'refs/heads/main') && "
    "body.repo.headSha.matches('^[0-9a-f]{40}$')"
)
"""Whose call it is, and what of: new content on the main branch of the model whose spec the template has.

Tags and pull requests, which anybody may open, are new content, too.
"""


def schedule_objects(image: str) -> dict[Path, Mapping[str, Any]]:
    """A CronJob that starts a run each night, and what it may do; files below `schedule/`.

    Args:
        image: Of the steps, which has the command in it.
    """
    command = ["modelcar", "pipeline", "run", PIPELINE, "--tekton", "--no-wait", "--spec", f"{_MOUNT}/promotion.yaml"]
    container = {
        "name": "start",
        "image": image,
        "command": command,
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "promotion", "mountPath": _MOUNT, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the one place that is written to
        ],
    }
    pod = {
        "serviceAccountName": SCHEDULE,
        "restartPolicy": "Never",
        "securityContext": POD_SECURITY,
        "imagePullSecrets": [{"name": "modelcar-pull"}],
        "containers": [container],
        "volumes": [{"name": "promotion", "configMap": {"name": SPEC_MAP}}, {"name": "tmp", "emptyDir": {}}],
    }
    job = {"backoffLimit": 2, "activeDeadlineSeconds": 600, "template": {"spec": pod}}
    cron = {"schedule": "0 2 * * *", "timeZone": "Etc/UTC", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job}}
    rules = [
        {"apiGroups": ["tekton.dev"], "resources": ["pipelines"], "verbs": ["get"]},
        {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["create"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": SCHEDULE}
    subjects = [{"kind": "ServiceAccount", "name": SCHEDULE}]
    rbac = "rbac.authorization.k8s.io/v1"
    return {
        Path("schedule/cron-job.yaml"): _object("batch/v1", "CronJob", SCHEDULE, spec=cron),
        Path("schedule/service-account.yaml"): _object("v1", "ServiceAccount", SCHEDULE),
        Path("schedule/role.yaml"): _object(rbac, "Role", SCHEDULE, rules=rules),
        Path("schedule/role-binding.yaml"): _object(rbac, "RoleBinding", SCHEDULE, roleRef=role, subjects=subjects),
    }


def trigger_objects(file: PipelineFile) -> dict[Path, Mapping[str, Any]]:
    """An EventListener that starts a run when a model on the Hub has a new commit; files below `trigger/`.

    The ServiceAccount is the one that OpenShift Pipelines makes in each namespace.

    Args:
        file: The pipeline that is started.
    """
    run = make_run(file, {"spec": SAMPLE})
    run["spec"]["params"].append({"name": "revision", "value": "$(tt.params.commit)"})
    cel = {"ref": {"name": "cel"}, "params": [{"name": "filter", "value": _FILTER}]}
    trigger = {
        "name": PIPELINE,
        "interceptors": [cel],
        "bindings": [{"ref": TRIGGER}],
        "template": {"ref": TRIGGER},
    }
    template = {
        "params": [{"name": "commit", "description": "The newest of the model on the Hub."}],
        "resourcetemplates": [run],
    }
    bound = [{"name": "commit", "value": "$(body.repo.headSha)"}]
    listener = {"serviceAccountName": "pipeline", "triggers": [trigger]}
    return {
        Path("trigger/event-listener.yaml"): _object(_TRIGGERS, "EventListener", TRIGGER, spec=listener),
        Path("trigger/trigger-binding.yaml"): _object(_TRIGGERS, "TriggerBinding", TRIGGER, spec={"params": bound}),
        Path("trigger/trigger-template.yaml"): _object(_TRIGGERS, "TriggerTemplate", TRIGGER, spec=template),
    }


def make_kustomization(resources: list[str], configurations: list[str] | None = None) -> dict[str, Any]:
    """A kustomization of files beside it."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
        **({"configurations": configurations} if configurations else {}),
    }


def _object(api_version: str, kind: str, name: str, **what: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": _LABELS}, **what}
