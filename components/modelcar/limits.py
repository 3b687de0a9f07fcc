"""What a registry is known not to take, found out before hours of bytes.

How many layers an image may have and how large its manifest may be are the same everywhere, and `make_plan` holds it to
that. How large a layer may be differs: `modelcar.distribution.registries` is the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelcar.distribution.registries import RegistryProfile, find_registry
from modelcar.image.packing import SMALLER_SHARDS
from modelcar.plan import ImagePlan
from modelcar.quantities import format_bytes


@dataclass(frozen=True, slots=True)
class HitLimit:
    """One layer that its registry would not take.

    Attributes:
        title: The layer, for people.
        size_bytes: Of the layer as stored.
        limit_bytes: What the registry takes.
        files: How many the layer has; none for a base image's.
        registry: What is known of it, and from where.
    """

    title: str
    size_bytes: int
    limit_bytes: int
    files: int
    registry: RegistryProfile

    @property
    def sentence(self) -> str:
        """What is wrong, for people, without a full stop."""
        takes = "takes" if self.registry.verified else "is reported to take"
        return (
            f"{self.title} makes a layer of {format_bytes(self.size_bytes)}, and {self.registry.name} {takes} "
            f"{format_bytes(self.limit_bytes)} at most"
        )

    @property
    def way_out(self) -> str:
        """What to do."""
        known = "where the registry takes more, say so with --max-layer-size (image.maxLayerSize in a spec)"
        if self.files > 1:
            return f"Give --max-layer-size {self.limit_bytes}: layers are closed before. Or {known}."
        return f"{SMALLER_SHARDS.removesuffix('.')}; {known}."


def find_limits(plan: ImagePlan, host: str) -> tuple[HitLimit, ...]:
    """The layers of a plan that a registry would refuse.

    Layers of the model that it is known to have do not count. Those of base images do, and those that only reading
    would tell from an earlier image's: whether they are there is asked when they move.

    Args:
        plan: What would be pushed.
        host: Of the registry, with optional port.
    """
    registry = find_registry(host)
    limit_bytes = registry.max_layer_bytes
    if limit_bytes is None:
        return ()
    base = [(layer.title, layer.descriptor.size_bytes, 0) for layer in plan.base_layers]
    own = [(one.layer.title, one.layer.size_bytes, len(one.layer.files)) for one in plan.layers if not one.is_taken]
    return tuple(
        HitLimit(title, size_bytes, limit_bytes, files, registry)
        for title, size_bytes, files in (*base, *own)
        if size_bytes > limit_bytes
    )
