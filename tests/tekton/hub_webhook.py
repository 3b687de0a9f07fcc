"""What the Hub sends when a repository has changed.

Source: https://huggingface.co/docs/hub/webhooks#webhook-payloads
"""

from __future__ import annotations

from typing import Any


def make_webhook(model: str, commit: str, ref: str = "refs/heads/main") -> dict[str, Any]:
    """The body of a call for a new commit of a model."""
    return {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "model", "name": model, "private": False, "headSha": commit},
        "updatedRefs": [{"ref": ref, "oldSha": "0" * 40, "newSha": commit}],
        "webhook": {"id": "6390e855e30d9209411de93b", "version": 3},
    }
