"""What a pod mounts reaches the clients, and what it does not mount is named by nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcar.errors import InvalidInput
from modelcar.steps.surroundings import make_access, settle

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def test_nothing_mounted_changes_nothing(tmp_path: Path) -> None:
    env = {"REGISTRY_AUTH_FILE": "/home/me/auth.json"}
    settle(env, tmp_path)
    assert env == {"REGISTRY_AUTH_FILE": "/home/me/auth.json"}


def test_mounted_logins_are_used(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / ".dockerconfigjson").write_text("{}")
    env: dict[str, str] = {}
    settle(env, tmp_path)
    assert env == {"REGISTRY_AUTH_FILE": str(tmp_path / "registry" / ".dockerconfigjson")}


def test_a_variable_that_somebody_set_stays(tmp_path: Path) -> None:
    for name in ("registry/.dockerconfigjson", "ca/own.crt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    env = {"REGISTRY_AUTH_FILE": "/mine", "SSL_CERT_FILE": "/my.pem"}
    settle(env, tmp_path)
    assert env == {"REGISTRY_AUTH_FILE": "/mine", "SSL_CERT_FILE": "/my.pem"}


def test_mounted_certificates_are_joined_with_the_systems_for_every_client(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    for name in ("b", "a"):
        (tmp_path / "ca" / f"{name}.crt").write_text(PEM.format(name))
    env: dict[str, str] = {}
    settle(env, tmp_path)
    assert set(env) == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"}
    [bundle] = set(env.values())
    assert Path(bundle).read_text().endswith(PEM.format("a") + PEM.format("b"))
    Path(bundle).unlink()


@pytest.mark.parametrize(("written", "plain"), [("true", True), ("True", True), ("false", False), ("", False)])
def test_plain_http_is_a_switch(written: str, plain: bool) -> None:
    assert make_access(env={"MODELCAR_PLAIN_HTTP": written}).plain_http is plain


def test_another_word_for_plain_http_is_refused() -> None:
    with pytest.raises(InvalidInput, match="MODELCAR_PLAIN_HTTP is 'on'"):
        make_access(env={"MODELCAR_PLAIN_HTTP": "on"})
