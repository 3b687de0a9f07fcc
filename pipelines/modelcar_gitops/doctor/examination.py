"""All that a doctor looks at."""

from __future__ import annotations

from collections.abc import Mapping

from modelcar.errors import PromotionError
from modelcar.spec.values import read_namespace
from modelcar_gitops.doctor.findings import Finding, Sign
from modelcar_gitops.doctor.rollouts import look_at_rollouts
from modelcar_pipelines.cluster import find_cluster


def examine(namespace: str, env: Mapping[str, str]) -> list[Finding]:
    """Look at everything.

    Args:
        namespace: Where models are served.
        env: Says where things are, as for promotions.

    Raises:
        InvalidInput: `namespace` cannot be one.
    """
    read_namespace(namespace)
    try:
        return look_at_rollouts(find_cluster(env, instead=""), namespace)
    except PromotionError as error:
        return [Finding("Reachable from here", "Kubernetes API", Sign.BROKEN, str(error), (error.hint or "").strip())]
