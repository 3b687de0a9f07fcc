"""Results as JSON objects: what `--json` prints and what pipelines hand on. Keys are part of the interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcar.build import Build
    from modelcar.forecast import Forecast
    from modelcar.gpu.fit import Fit
    from modelcar.model_registry.registration import RegisteredVersion
    from modelcar.promotion import Promotion
    from modelcar.push import PushedImage
    from modelcar.workspace.download import Downloaded


def describe_push(image: PushedImage) -> dict[str, Any]:
    """A push, with sizes in bytes and time in seconds."""
    return {
        "image": image.image,
        "digest": str(image.digest),
        "platforms": {str(platform): str(digest) for platform, digest in image.platforms.items()},
        "tags": list(image.tags),
        "size_bytes": image.size_bytes,
        "layers": [
            {
                "digest": str(layer.digest),
                "size_bytes": layer.size_bytes,
                "files": list(layer.files),
                "reused": layer.reused,
            }
            for layer in image.layers
        ],
        "source": {"uri": image.snapshot.uri, "commit_hash": image.snapshot.commit_hash},
        "bytes_read": image.bytes_read,
        "bytes_uploaded": image.bytes_uploaded,
        "bytes_reused": image.bytes_reused,
        "seconds": round(image.seconds, 3),
        "referrers": None
        if image.referrers is None
        else {
            "copied": [str(digest) for digest in image.referrers.copied],
            "left": [str(digest) for digest in image.referrers.left],
        },
    }


def describe_plan(build: Build, forecast: Forecast | None = None) -> dict[str, Any]:
    """A plan: what would move; with a forecast, what that costs and meets, too."""
    plan = forecast.plan if forecast is not None else build.plan
    snapshot = plan.snapshot
    return {
        "source": {"uri": snapshot.uri, "revision": snapshot.revision, "commit_hash": snapshot.commit_hash},
        "destination": build.destination.name,
        "platforms": [str(one.platform) for one in plan.platforms],
        "base_image": str(base.reference) if (base := plan.platforms[0].base) is not None else None,
        "size_bytes": plan.size_bytes,
        "reused_bytes": plan.reused_bytes,
        "layers": [
            {
                "title": planned.layer.title,
                "size_bytes": planned.layer.size_bytes,
                "files": [file.path for file in planned.layer.files],
                "reusable": planned.reusable,
                "origin": planned.origin.repository.name if planned.origin is not None else None,
            }
            for planned in plan.layers
        ],
        "left_out": [
            {"path": file.path, "size_bytes": file.size_bytes, "reason": file.reason} for file in snapshot.left_out
        ],
        **(_describe_forecast(forecast) if forecast is not None else {}),
    }


def _describe_forecast(forecast: Forecast) -> dict[str, Any]:
    return {
        "base_layers": [
            {
                "title": layer.title,
                "digest": str(layer.descriptor.digest),
                "size_bytes": layer.descriptor.size_bytes,
                "fate": fate.value,
            }
            for layer, fate in forecast.base
        ],
        "read_bytes": forecast.read_bytes,
        "compared_bytes": forecast.compared_bytes,
        "sent_bytes": forecast.sent_bytes,
        "limits": [
            {
                "title": hit.title,
                "size_bytes": hit.size_bytes,
                "limit_bytes": hit.limit_bytes,
                "registry": hit.registry.name,
                "sources": list(hit.registry.sources),
                "way_out": hit.way_out,
            }
            for hit in forecast.limits
        ],
        "times": [{"bytes_per_s": rate, "seconds": round(seconds, 3)} for rate, seconds in forecast.rates],
        "serving": _describe_fit(forecast.fit) if forecast.fit is not None else None,
        "serving_unknown": forecast.no_fit or None,
    }


def _describe_fit(fit: Fit) -> dict[str, Any]:
    """Whether the model fits the GPUs, of one of them; `estimated_bytes` is an estimate."""
    return {
        "inference_service": fit.server.name,
        "gpus": fit.server.gpus,
        "sharing_gpus": fit.sharing_gpus,
        "gpu_memory_bytes": fit.gpu_memory_bytes,
        "gpu_memory_from": fit.gpu_memory_from or None,
        "gpu_memory_utilization": fit.utilization,
        "budget_bytes": fit.budget_bytes,
        "weights_bytes": fit.weights_bytes,
        "estimated_bytes": fit.estimated_bytes,
        "kv_bytes_per_token": fit.kv_bytes_per_token,
        "context_tokens": fit.context_tokens,
        "kv_bytes": fit.kv_bytes,
        "left_bytes": fit.left_bytes,
        "longest_tokens": fit.longest_tokens,
        "needed_gpu_memory_bytes": fit.needed_gpu_memory_bytes,
        "remark": fit.remark or None,
        "fits": fit.fits,
        "faults": [{"because": because, "way_out": way_out} for because, way_out in fit.faults],
    }


def describe_download(downloaded: Downloaded) -> dict[str, Any]:
    """A download, with sizes in bytes and time in seconds."""
    snapshot = downloaded.snapshot
    return {
        "directory": str(downloaded.directory),
        "source": {"uri": snapshot.uri, "revision": snapshot.revision, "commit_hash": snapshot.commit_hash},
        "files": [{"path": file.path, "size_bytes": file.size_bytes} for file in snapshot.files],
        "size_bytes": snapshot.size_bytes,
        "bytes_read": downloaded.bytes_read,
        "bytes_reused": downloaded.bytes_reused,
        "seconds": round(downloaded.seconds, 3),
    }


def describe_registration(registered: RegisteredVersion) -> dict[str, Any]:
    """A registration: the three ids, and which of the three were made now."""
    return {
        "registered_model": registered.registered_model,
        "version": registered.version,
        "uri": registered.uri,
        "registered_model_id": registered.registered_model_id,
        "model_version_id": registered.model_version_id,
        "model_artifact_id": registered.model_artifact_id,
        "created": list(registered.created),
    }


def describe_promotion(promotion: Promotion) -> dict[str, Any]:
    """A whole promotion."""
    patch = promotion.patch
    return {
        "push": describe_push(promotion.push),
        "register": describe_registration(promotion.register),
        "patch": {"commit": patch.commit, "changed": patch.changed, "diff": patch.diff},
        "promotion_key": promotion.promotion_key,
    }
