"""A server that fails once in the middle does not stop a promotion."""

from __future__ import annotations

import pytest

from promotion.place import Place, assert_promoted_once
from promotion.services import Services
from promotion.traps import MIDDLE_BYTES
from wsgi_faults import Fault

DIGEST = "sha256:785dfbb8b1e9eff05fe27776204ae5f8131a535fcd21bd6f45b8e73c129e5c3d"
NOW = {"Retry-After": "0"}

FAULTS = {
    "hub 503": ("hub", Fault.answer("GET", "/api/models/", 503, headers=NOW)),
    "hub cut": ("hub", Fault.cut_answer("GET", "/cdn/", MIDDLE_BYTES)),
    "registry 429": ("registry", Fault.answer("PATCH", "/uploads/", 429, headers=NOW, after_body_bytes=MIDDLE_BYTES)),
    "registry 500": ("registry", Fault.answer("PUT", "/uploads/", 500, headers=NOW, nth=2)),
    "registry cut": ("registry", Fault.cut_request("PATCH", "/uploads/", MIDDLE_BYTES)),
    "manifest lost": ("registry", Fault.cut_answer("PUT", "/manifests/", 0)),
    "model registry 503": ("model_registry", Fault.answer("POST", "versions$", 503, headers=NOW)),
    "version lost": ("model_registry", Fault.cut_answer("POST", "versions$", 0)),
    "artifact lost": ("model_registry", Fault.cut_answer("POST", "/artifacts$", 0)),
    "state lost": ("model_registry", Fault.cut_answer("PATCH", "/model_artifacts/", 0)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_failure_in_the_middle(sandbox_place: Place, services: Services, name: str) -> None:
    server, fault = FAULTS[name]
    faults = getattr(services, server).faults
    faults.add(fault)

    promotion = sandbox_place.promote()

    assert faults.fired == 1
    assert str(promotion.push.digest) == DIGEST
    assert_promoted_once(sandbox_place, DIGEST)
