"""Answers that make no sense, are too much, or hold what nobody may read in an error."""

from __future__ import annotations

import socket
import traceback

import pytest

from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError
from modelcar.reference import Digest
from registry_service import Running
from wsgi_faults import Fault

BLOB = b"blob"
DIGEST = Digest.of(BLOB)
SCOPE = "repository:team/model:pull"


@pytest.mark.parametrize("location", ["s3://bucket/x?Signature=s3cret", "http://[s3cret", "http://h:s3cret/"])
def test_a_redirect_to_what_is_no_address_is_told_without_it(running: Running, location: str) -> None:
    running.faults.add(Fault.answer("GET", "/blobs/", 307, headers={"Location": location}))
    with pytest.raises(
        DistributionError, match=f"^{running.address} cannot be asked, or leads to what is no"
    ) as caught:
        running.repository().read_blob(DIGEST)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert not caught.value.retryable


@pytest.mark.parametrize("location", ["http://[s3cret", "http://h:s3cret/"])
def test_an_upload_that_is_sent_to_what_is_no_address_is_told_without_it(running: Running, location: str) -> None:
    running.faults.add(Fault.answer("POST", "/uploads/", 202, headers={"Location": location}))
    with pytest.raises(DistributionError) as caught:
        running.repository().write_blob(Content(BLOB), DIGEST)
    assert str(caught.value) == f"{running.address} sends an upload to what is no address"
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_signed_address_that_does_not_answer_is_not_shown(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        location = f"http://127.0.0.1:{closed.getsockname()[1]}/x?Signature=s3cret"
    registry = running.registry()
    running.faults.add(Fault.answer("GET", "/v2/$", 307, headers={"Location": location}))
    with pytest.raises(DistributionError) as caught:
        registry.request("GET", "/v2/", scope=SCOPE)
    assert str(caught.value) == f"{running.address} did not answer: Connection refused"
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_manifest_without_end_is_not_read_to_its_end(running: Running) -> None:
    running.faults.add(Fault.answer("GET", "/manifests/", 200, body=bytes((4 << 20) + 1)))
    with pytest.raises(DistributionError) as caught:
        running.repository().find_manifest("v1")
    assert str(caught.value) == (
        f"what {running.address}/team/model gave as the manifest v1 has more than 4194304 bytes"
    )
    assert not caught.value.retryable


def test_a_manifest_as_large_as_registries_take_is_read(running: Running) -> None:
    running.faults.add(Fault.answer("GET", "/manifests/", 200, body=bytes(4 << 20)))
    found = running.repository().find_manifest("v1")
    assert found is not None
    assert len(found.content) == 4 << 20


def test_a_manifest_that_breaks_off_is_read_again(running: Running) -> None:
    repository = running.repository()
    repository.write_manifest(b'{"schemaVersion":2}', "application/vnd.oci.image.index.v1+json", ["v1"])
    running.faults.add(Fault.cut_answer("GET", "/manifests/", 2))
    found = repository.find_manifest("v1")
    assert found is not None
    assert (found.content, running.faults.fired) == (b'{"schemaVersion":2}', 1)


def test_a_config_without_end_is_not_read_to_its_end(running: Running) -> None:
    running.faults.add(Fault.answer("GET", "/blobs/", 200, body=bytes((4 << 20) + 1)))
    with pytest.raises(DistributionError) as caught:
        running.repository().read_blob(DIGEST)
    assert str(caught.value) == (
        f"{running.address}/team/model@{DIGEST}, which should be an image's config, has more than 4194304 bytes"
    )


@pytest.mark.parametrize(("text", "seconds"), [("\u00b2", None), ("soon", None), ("-1", None), ("1", 1.0)])
def test_an_odd_time_to_wait_is_passed_over(running: Running, text: str, seconds: float | None) -> None:
    running.faults.add(Fault.answer("PUT", "/uploads/", 503, headers={"Retry-After": text}))
    registry = running.registry()
    error = registry.error(registry.request("PUT", "/v2/a/blobs/uploads/1", scope=SCOPE), "push to a")
    assert error.retry_after_s == seconds
