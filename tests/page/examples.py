"""Reports as runs leave them, and one with what nobody expects in a value."""

from __future__ import annotations

from modelcar.page import (
    FailureReport,
    ImageReport,
    LayerReport,
    MetricReport,
    PatchReport,
    Report,
    SourceReport,
    StepReport,
    VersionReport,
)

GIB, MIB = 1 << 30, 1 << 20
COMMIT = "4f3c9b0f1f2a7d6e5c4b3a29181716151413121f"
DIGEST = "sha256:785dfbb8b1e9eff05fe27776204ae5f8131a535fcd21bd6f45b8e73c129e5c3d"
OLD_DIGEST = "sha256:" + "1" * 64
IMAGE = f"quay.io/acme/granite@{DIGEST}"
DIFF = f"""\
--- a/gitops/stage01-model-serving/application/granite.yaml
+++ b/gitops/stage01-model-serving/application/granite.yaml
@@ -6,13 +6,13 @@
   name: granite
   namespace: private-ai-demo
   labels:
     modelregistry.opendatahub.io/registered-model-id: "3"
-    modelregistry.opendatahub.io/model-version-id: "11"
+    modelregistry.opendatahub.io/model-version-id: "12"
 spec:
   predictor:
     model:
       modelFormat:
         name: vLLM
-      storageUri: oci://quay.io/acme/granite@{OLD_DIGEST}  # set by promotions
+      storageUri: oci://{IMAGE}  # set by promotions
"""
SOURCE = SourceReport("hf://ibm-granite/granite-3.3-2b-instruct", COMMIT, 12, 5 * GIB)
LAYERS = (
    LayerReport("ubi9/ubi-micro:latest", 9 * MIB, reused=True),
    LayerReport("directories", 2048, reused=False),
    LayerReport("README.md and 8 more", 4 * MIB, reused=False),
    LayerReport("model-00001-of-00002.safetensors", 4 * GIB, reused=True),
    LayerReport("model-00002-of-00002.safetensors", GIB, reused=False),
)
PUSHED = ImageReport(IMAGE, (f"modelcar-{DIGEST[7:]}", "3.3-2b"), LAYERS, GIB + 4 * MIB, GIB + 4 * MIB, 4 * GIB)
VERSION = VersionReport(
    "granite",
    "785dfbb8b1e9",
    {"registered_model": "3", "model_version": "12", "model_artifact": "9"},
    ("model_version", "model_artifact"),
)
PATCH = PatchReport(
    "gitops/stage01-model-serving/application/granite.yaml",
    "main",
    "https://github.com/acme/private-ai.git",
    "b1946ac92492d2347c6235b4d2611184a5e5d3c2",
    changed=True,
    diff=DIFF,
)
STEPS = (
    StepReport("Resolve", "SUCCEEDED", 2.4),
    StepReport("Build and push", "SUCCEEDED", 312.0, "1 of 2 shards was there"),
    StepReport("Register", "SUCCEEDED", 0.9),
    StepReport("Patch", "SUCCEEDED", 4.2, "second attempt: somebody pushed first"),
)
SUCCEEDED = Report(
    "Promote granite",
    "SUCCEEDED",
    "granite 785dfbb8b1e9 is in git; Argo CD rolls it out.",
    STEPS,
    SOURCE,
    PUSHED,
    VERSION,
    PATCH,
    links=(("The run", "https://kfp.example/#/runs/details/42"),),
)
FAILED = Report(
    "Promote granite",
    "FAILED",
    "Register failed; the image is in its registry, git is as it was.",
    (
        StepReport("Resolve", "SUCCEEDED", 2.4),
        StepReport("Build and push", "SUCCEEDED", 312.0),
        StepReport("Register", "FAILED", 0.9, "after 3 attempts"),
        StepReport("Patch", "SKIPPED", None),
    ),
    SOURCE,
    PUSHED,
    failure=FailureReport(
        "Register",
        "version 3.3-2b of granite exists in the Model Registry with another image",
        "Choose another version name; a version never changes its image.",
        2,
    ),
)
SKIPPED = Report(
    "Retrain and promote granite",
    "SKIPPED",
    "Base model, data and recipe are those of version 785dfbb8b1e9: there is nothing new to train.",
    (StepReport("Resolve", "SUCCEEDED", 1.1), StepReport("Train", "SKIPPED", None, "nothing new")),
    SOURCE,
)
RETRAINED = Report(
    "Retrain and promote granite",
    "FAILED",
    "A metric of the training is below its floor.",
    (StepReport("Train", "SUCCEEDED", 5025.0), StepReport("Check metrics", "FAILED", 0.3)),
    SOURCE,
    failure=FailureReport(
        "Check metrics", "accuracy is 0.71, below its floor of 0.8", "Train better, or lower the floor.", 2
    ),
    metrics={"accuracy": MetricReport(0.71, 0.8, ok=False), "f1": MetricReport(0.834, 0.8), "loss": MetricReport(1.25)},
)
MANY = Report(
    "Promote a model of a hundred layers",
    "SUCCEEDED",
    "Three shards changed.",
    image=ImageReport(
        IMAGE,
        ("v2",),
        (
            LayerReport("directories", 4096, reused=True),
            LayerReport("config.json and 20 more", 17 * MIB, reused=False),
            *(
                LayerReport(f"model-{number:05}-of-00098.safetensors", 4 * GIB + number * MIB, number % 40 != 7)
                for number in range(1, 99)
            ),
        ),
        13 * GIB,
        13 * GIB,
        383 * GIB,
    ),
    source=SourceReport("hf://acme/huge", COMMIT, 119, 396 * GIB),
)
NASTY = (
    "<script>alert(\"1\")</script> & 'quoted' `code` *bold* [a](javascript:x) | "
    "\u202egnp.exe \u05e9\u05dc\u05d5\u05dd \U0001f469\u200d\U0001f52c\n# new line \0 \ud800 " + "long" * 60
)
HOSTILE = Report(
    NASTY,
    "FAILED",
    NASTY,
    (StepReport(NASTY, "FAILED", 1.0, NASTY), StepReport(NASTY, "SKIPPED")),
    SourceReport(f"hf://{NASTY}", NASTY, 1, 1),
    ImageReport(NASTY, (NASTY, NASTY), (LayerReport(NASTY, 1, reused=True), LayerReport(NASTY, 0, reused=False))),
    VersionReport(NASTY, NASTY, {NASTY: NASTY}, (NASTY,)),
    PatchReport(NASTY, NASTY, NASTY, NASTY, changed=True, diff=f"+{NASTY}\n-{NASTY}\r\n```\n</pre>\n"),
    FailureReport(NASTY, NASTY, NASTY, 7),
    {NASTY: MetricReport(float("nan"), float("inf"), ok=False)},
    ((NASTY, "javascript:alert(1)"), (NASTY, f"https://example.org/{NASTY}")),
)
EXAMPLES = {
    "succeeded": SUCCEEDED,
    "failed": FAILED,
    "skipped": SKIPPED,
    "retrained": RETRAINED,
    "many": MANY,
    "hostile": HOSTILE,
    "bare": Report("Bare", "RUNNING", ""),
}
