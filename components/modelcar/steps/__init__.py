"""What each step of a pipeline does: one function a step, for steps that run in pods of their own.

A step is given a PromotionSpec as text and single fields of it that go before the text, and what earlier steps found,
in short strings. It looks everything else up again, so that it can be killed and run once more. It ends like a command:
one sentence, a hint and an exit code when it fails (`modelcar.steps.running`). Kubeflow Pipelines components and Tekton
tasks call these; whoever has Python calls `modelcar.promotion.promote`.
"""

from modelcar.steps.download import Downloaded, download_model
from modelcar.steps.patch import Patched, patch_inference_service
from modelcar.steps.push import Pushed, build_and_push
from modelcar.steps.register import Registered, register_model
from modelcar.steps.report import report_failure, report_promotion, report_skipped
from modelcar.steps.resolve import Resolved, resolve_model
from modelcar.steps.retrain import ResolvedTraining, Retrained, check_metrics, resolve_training, retrain_model

__all__ = [
    "Downloaded",
    "Patched",
    "Pushed",
    "Registered",
    "Resolved",
    "ResolvedTraining",
    "Retrained",
    "build_and_push",
    "check_metrics",
    "download_model",
    "patch_inference_service",
    "register_model",
    "report_failure",
    "report_promotion",
    "report_skipped",
    "resolve_model",
    "resolve_training",
    "retrain_model",
]
