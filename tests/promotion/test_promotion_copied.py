"""From one stage to the next: the image that was tried is the image that is promoted, base and all; or its layers."""

from __future__ import annotations

import pytest

from modelcar.errors import ImageNotFound, InvalidInput
from promotion.place import Place

PRODUCTION = {"repository": "models/production", "registered_model": "production", "base_image": "same"}


def test_an_image_that_keeps_its_base_is_promoted_under_its_own_digest_and_no_byte_of_it_moves(
    sandbox_place: Place,
) -> None:
    tried = sandbox_place.promote().push
    promoted = sandbox_place.promote(source=f"oci://{tried.image}", **PRODUCTION)

    assert promoted.push.digest == tried.digest
    assert promoted.push.bytes_read == 0
    assert all(layer.reused for layer in promoted.push.layers if layer.files)
    assert f"{PRODUCTION['repository']}@{tried.digest}" in sandbox_place.manifest().decode()
    assert promoted.patch.changed

    again = sandbox_place.promote(source=f"oci://{tried.image}", **PRODUCTION)
    assert (again.push.bytes_uploaded, again.register.created, again.patch.changed) == (0, (), False)


def test_a_model_that_is_no_image_has_no_base_to_keep(sandbox_place: Place) -> None:
    before = sandbox_place.commits()
    with pytest.raises(InvalidInput, match="is no image, so it has no base to keep"):
        sandbox_place.promote(base_image="same")
    assert sandbox_place.commits() == before


def test_layers_of_an_image_that_the_spec_names_are_neither_read_nor_sent(sandbox_place: Place) -> None:
    first = sandbox_place.promote().push
    other = {"repository": "models/other", "registered_model": "other"}
    second = sandbox_place.promote(reuse_from=first.image, **other).push

    assert second.digest == first.digest
    assert second.bytes_read == 0
    assert all(layer.reused for layer in second.layers if layer.files)


def test_a_named_image_that_is_not_there_ends_the_promotion_before_anything_moves(sandbox_place: Place) -> None:
    before = sandbox_place.commits()
    missing = f"{sandbox_place.registry}/models/missing:1"
    with pytest.raises(ImageNotFound, match="models/missing:1 is not there") as caught:
        sandbox_place.promote(reuse_from=missing)
    assert "image.reuseFrom" in (caught.value.hint or "")
    assert sandbox_place.commits() == before
