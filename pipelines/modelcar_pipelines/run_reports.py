"""What a run left, read back from the server where it gives that: its report, and the logs of its steps.

Kubeflow's own server keeps artifacts of compiled pipelines in its object store and gives none of them out here
(measured); people open them in its dashboard. The sandbox's server gives them.
"""

from __future__ import annotations

import base64
import logging
from typing import Any, Literal
from urllib.parse import quote

from modelcar.errors import PromotionError
from modelcar.retry import CONTACT_ATTEMPTS, retry
from modelcar_pipelines.connection import Server
from modelcar_pipelines.run_steps import run_nodes
from modelcar_pipelines.transport import PLAIN_TEXT

REPORTS = ("report-promotion", "report-skipped", "report-failure")
"""Tasks that write a report, the one of a run that came to its end first."""

_LOG_ARTIFACT = "main-logs"
"""What Argo calls a container's log when it keeps it."""
_STEP_TEMPLATE = "system-container-impl"
"""What KFP calls the template of the pods that run steps; Argo names pods after workflow, template and node."""

log = logging.getLogger(__name__)


def fetch_report(server: Server, run_id: str, form: Literal["page", "summary"] = "page") -> str | None:
    """The report of a run.

    Args:
        server: Where it ran.
        run_id: Which run.
        form: HTML, or Markdown.

    Returns:
        None when there is none yet, or the server gives none out.

    Raises:
        PromotionError: There is no such run.
    """
    answer = server.call(server.runs.run_service_get_run, run_id)
    for task in REPORTS:
        for one in run_nodes(answer):
            if one.display_name == task and one.state == "SUCCEEDED":
                for node in (child.pod_name for child in one.child_tasks or () if child.pod_name):
                    text = read_artifact(server, run_id, node, form)
                    if text is not None:
                        return text
    return None


def read_artifact(server: Server, run_id: str, node: str, name: str) -> str | None:
    """The text of an output artifact of a run's node; None when the server does not give it out."""
    path = f"/apis/v2beta1/runs/{quote(run_id)}/nodes/{quote(node)}/artifacts/{quote(name)}:read"

    def get() -> Any:
        return server.runs.api_client.call_api(
            path, "GET", response_type="object", auth_settings=["Bearer"], _return_http_data_only=True
        )

    try:
        # Not for as long as other questions: what a run left is no use to anybody who waits for it for minutes.
        return base64.b64decode(retry(get, attempts=CONTACT_ATTEMPTS).get("data", "")).decode(errors="replace")
    except PromotionError:
        return None


def read_log(server: Server, run_id: str, node: str) -> str:
    """The log of a step's node of a run, kept by Argo or else of its pod; empty when the server has neither."""
    kept = read_artifact(server, run_id, node, _LOG_ARTIFACT)
    if kept is not None:
        return kept
    workflow, _, number = node.rpartition("-")
    pod = f"{workflow}-{_STEP_TEMPLATE}-{number}"
    live = f"/apis/v1alpha1/runs/{quote(run_id)}/nodes/{quote(pod)}/log"

    def get() -> Any:
        return server.runs.api_client.call_api(
            live,
            "GET",
            header_params={"Accept": PLAIN_TEXT},
            response_type="str",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
        )

    try:
        return str(retry(get, attempts=CONTACT_ATTEMPTS))
    except PromotionError as error:
        log.debug("no log can be read of %s: %s", node, error)
        return ""
