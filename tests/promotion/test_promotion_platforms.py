"""A promotion of an image for several platforms: the index's digest goes downstream, everywhere."""

from __future__ import annotations

import json

from modelcar.distribution.client import Access
from modelcar.promotion import promote
from modelcar.spec import parse_spec
from promotion.place import Place, assert_promoted_once

BOTH = "  platforms: [linux/arm64, linux/amd64]\n"


def test_the_index_is_registered_and_committed_once_however_often_it_is_promoted(sandbox_place: Place) -> None:
    text = sandbox_place.spec_text(base_image="scratch").replace("\nmodelRegistry:", f"\n{BOTH}modelRegistry:", 1)
    first, again = (promote(parse_spec(text, name="promotion.yaml"), access=Access(plain_http=True)) for _ in range(2))

    assert [str(platform) for platform in first.push.platforms] == ["linux/amd64", "linux/arm64"]
    assert first.push.digest not in first.push.platforms.values()
    assert_promoted_once(sandbox_place, str(first.push.digest))
    assert (again.push.digest, again.push.bytes_read, again.push.bytes_uploaded) == (first.push.digest, 0, 0)
    assert (again.register.created, again.patch.changed) == ((), False)


def test_an_image_of_one_platform_that_serves_gives_its_layers_to_one_of_two(sandbox_place: Place) -> None:
    alone = sandbox_place.promote(base_image="scratch")
    text = sandbox_place.spec_text(base_image="scratch").replace("\nmodelRegistry:", f"\n{BOTH}modelRegistry:", 1)
    spec = sandbox_place.root / "both.yaml"
    spec.write_text(text)
    ran = sandbox_place.run("promote", "--plain-http", "--json", str(spec))

    pushed = json.loads(ran.stdout)["push"]
    assert pushed["bytes_read"] == 0
    assert pushed["platforms"]["linux/amd64"] == str(alone.push.digest)
    assert pushed["digest"] != str(alone.push.digest)
