"""People win: over a promotion that is under way, over one that is done, and over what was registered before."""

from __future__ import annotations

import pytest

from modelcar.distribution.client import Access
from modelcar.errors import Held, VersionConflict
from modelcar.promotion import promote
from modelcar.spec import parse_spec
from modelcar_gitops import NAMESPACE
from modelcar_sandbox.git_tree import MANIFEST
from promotion.place import VERSION_LABEL, Place
from promotion.services import Services
from promotion.traps import Point

THEIRS = "oci://registry.example/team/other@sha256:" + "1" * 64
ALL_PUSHED = Point("registry", "after", "PUT", "/manifests/", nth=2)


def with_storage_uri(manifest: bytes, uri: str) -> bytes:
    before, key, rest = manifest.partition(b"storageUri: ")
    return before + key + uri.encode() + rest[rest.index(b"\n") :]


def test_a_value_that_a_person_wrote_while_bytes_moved_stays(sandbox_place: Place, services: Services) -> None:
    theirs = with_storage_uri(sandbox_place.manifest(), THEIRS)
    services.registry.trap.set(ALL_PUSHED, lambda: sandbox_place.commit_as_person({MANIFEST: theirs}))

    done = sandbox_place.run("promote", "--json", str(sandbox_place.spec_file()))

    assert (done.returncode, done.stdout) == (2, "")
    assert f"Error: storageUri of InferenceService demo-llama is {THEIRS}, not oci://" in done.stderr
    assert len(sandbox_place.commits()) == 2
    assert sandbox_place.manifest() == theirs

    again = sandbox_place.promote()  # has seen their value, and is asked for after it
    assert again.patch.changed
    assert again.patch.previous_storage_uri == THEIRS


def test_what_a_person_changed_elsewhere_in_the_manifest_stays_in_it(sandbox_place: Place, services: Services) -> None:
    theirs = sandbox_place.manifest().replace(b"maxReplicas: 1\n", b"maxReplicas: 3\n")
    services.registry.trap.set(ALL_PUSHED, lambda: sandbox_place.commit_as_person({MANIFEST: theirs}))

    promotion = sandbox_place.promote()

    uri = f"oci://{promotion.push.image}"
    assert len(sandbox_place.commits()) == 3
    assert b"maxReplicas: 3\n" in sandbox_place.manifest()
    assert with_storage_uri(sandbox_place.manifest(), uri) == sandbox_place.manifest()


@pytest.mark.parametrize("back_to", ["what it was", "something else"])
def test_a_promotion_that_a_person_took_back_is_not_made_again(sandbox_place: Place, back_to: str) -> None:
    original = sandbox_place.manifest()
    commit = sandbox_place.promote().patch.commit
    theirs = original if back_to == "what it was" else with_storage_uri(sandbox_place.manifest(), THEIRS)
    sandbox_place.commit_as_person({MANIFEST: theirs})

    with pytest.raises(Held, match=f"by commit {str(commit)[:12]}, and says") as held:
        sandbox_place.promote()

    assert held.value.exit_code == 2
    assert len(sandbox_place.commits()) == 3
    assert sandbox_place.manifest() == theirs


def test_a_promotion_that_was_taken_back_is_known_however_the_spec_spells_its_place(sandbox_place: Place) -> None:
    before = sandbox_place.manifest()
    sandbox_place.promote()
    sandbox_place.commit_as_person({MANIFEST: before})

    spec = sandbox_place.spec_text(git=f"{sandbox_place.git.removeprefix('file://')}/")
    assert f"  namespace: {NAMESPACE}\n" in spec
    spec = spec.replace(f"  namespace: {NAMESPACE}\n", "")
    with pytest.raises(Held):
        promote(parse_spec(spec, name="promotion.yaml"), access=Access(plain_http=True))
    assert sandbox_place.manifest() == before


def test_a_promotion_that_was_taken_back_and_put_back_again_is_done(sandbox_place: Place) -> None:
    original = sandbox_place.manifest()
    commit = sandbox_place.promote().patch.commit
    promoted = sandbox_place.manifest()
    sandbox_place.commit_as_person({MANIFEST: original})
    sandbox_place.commit_as_person({MANIFEST: promoted})

    again = sandbox_place.promote()

    assert (again.patch.commit, again.patch.changed) == (commit, False)


def test_a_hold_in_the_spec_stops_everything_before_anybody_is_asked(sandbox_place: Place, services: Services) -> None:
    spec = sandbox_place.spec_file(more="hold: frozen until the audit is over\n")

    done = sandbox_place.run("promote", "--json", str(spec))

    assert (done.returncode, done.stdout) == (2, "")
    assert "promotions of demo-llama are on hold: frozen until the audit is over" in done.stderr
    asked = [service.recorder.requests for service in (services.hub, services.registry, services.model_registry)]
    assert asked == [[], [], []]


def test_a_version_name_that_another_model_has_is_refused_before_bytes_move(
    sandbox_place: Place, services: Services
) -> None:
    sandbox_place.promote(version="v1")
    services.publish(variant=2)
    services.hub.recorder.clear()
    services.registry.recorder.clear()
    services.model_registry.recorder.clear()

    with pytest.raises(VersionConflict, match="version v1 of demo-llama exists in the Model Registry with oci://"):
        sandbox_place.promote(version="v1")

    assert services.hub.recorder.seen("GET", "/resolve/") == []
    assert services.registry.writes() == []
    assert services.model_registry.writes() == []
    assert len(sandbox_place.commits()) == 2


def test_a_version_name_that_an_image_elsewhere_has_is_refused_before_bytes_move(
    sandbox_place: Place, services: Services
) -> None:
    sandbox_place.promote(version="v1")
    services.registry.recorder.clear()

    with pytest.raises(VersionConflict, match=r"exists in the Model Registry with oci://.* is another model or goes"):
        sandbox_place.promote(version="v1", repository="models/elsewhere")

    assert services.registry.writes() == []


def test_a_named_version_is_found_again(sandbox_place: Place) -> None:
    first = sandbox_place.promote(version="v1")
    second = sandbox_place.promote(version="v1")

    assert [version["name"] for version in sandbox_place.versions()] == ["v1"]
    assert second.register.created == ()
    assert second.patch.commit == first.patch.commit


def test_a_version_goes_to_a_second_place_as_itself(sandbox_place: Place) -> None:
    second_path = MANIFEST.replace("demo-llama", "demo-llama-canary")
    manifest = sandbox_place.manifest().replace(b"name: demo-llama\n", b"name: demo-llama-canary\n")
    sandbox_place.commit_as_person({second_path: manifest})

    first = sandbox_place.promote()
    second = sandbox_place.promote(path=second_path, name="demo-llama-canary")

    assert second.push.bytes_uploaded == 0
    assert second.register.created == ()
    assert second.register.model_version_id == first.register.model_version_id
    assert second.promotion_key != first.promotion_key
    assert sandbox_place.commits()[:2] == [second.patch.commit, first.patch.commit]
    label = f'{VERSION_LABEL}: "{first.register.model_version_id}"'.encode()
    assert label in sandbox_place.manifest()
    assert label in sandbox_place.manifest(second_path)
