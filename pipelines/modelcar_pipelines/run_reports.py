"""The report that a run left, read back from the server where it gives artifacts.

Kubeflow's own server keeps artifacts of compiled pipelines in its object store and gives none of them out here
(measured); people open them in its dashboard. The sandbox's server gives them.
"""

from __future__ import annotations

import base64
from typing import Any, Literal
from urllib.parse import quote

from modelcar.errors import PromotionError
from modelcar_pipelines.connection import Server

REPORTS = ("report-promotion", "report-skipped", "report-failure")
"""Tasks that write a report, the one of a run that came to its end first."""


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
    details = (answer.run_details.task_details if answer.run_details is not None else None) or ()
    for task in REPORTS:
        for one in details:
            if one.display_name == task and one.state == "SUCCEEDED":
                for child in one.child_tasks or ():
                    text = read_artifact(server, run_id, str(child.pod_name), form)
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
        return base64.b64decode(server.call(get).get("data", "")).decode(errors="replace")
    except PromotionError:
        return None
