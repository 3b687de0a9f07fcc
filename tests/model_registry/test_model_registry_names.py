from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from model_registry_server import image
from modelcar.errors import InvalidInput
from modelcar.model_registry.names import check_model_name, check_version_name, escape
from modelcar.model_registry.registration import Registration
from modelcar_sandbox.collation import resembles

names = st.text(st.sampled_from("ab_%-. \\é\n"), max_size=6)


def is_name(text: str) -> bool:
    try:
        check_model_name(text)
    except InvalidInput:
        return False
    return True


@given(names.filter(is_name), names.filter(is_name))
def test_an_escaped_name_is_a_pattern_for_itself_alone(name: str, other: str) -> None:
    assert resembles(name, escape(name))
    if re.sub("é", "e", other) != re.sub("é", "e", name):
        assert not resembles(other, escape(name))


@given(st.text(max_size=300))
def test_a_name_is_taken_as_it_is_or_refused(text: str) -> None:
    assert is_name(text) == (1 <= len(text) <= 255 and text == text.strip() and text.isprintable() and "\\" not in text)


def test_a_version_leaves_room_for_its_models_id() -> None:
    check_version_name("v" * 244)
    assert is_name("v" * 255)


registrations = st.builds(
    Registration,
    registered_model=st.sampled_from(["a", "b", "ab"]),
    version=st.sampled_from(["a", "b", "ba"]),
    image=st.builds(image, st.sampled_from(["x", "y"]), st.sampled_from(["team/one", "team/two"])),
    author=st.none() | st.just("me"),
)


@given(registrations, registrations)
def test_the_identity_is_that_of_model_version_and_digest(one: Registration, other: Registration) -> None:
    def said(of: Registration) -> tuple[str, str, str]:
        return of.registered_model, of.version, str(of.image.digest)

    assert (one.identity == other.identity) == (said(one) == said(other))
    assert re.fullmatch("[0-9a-f]{64}", one.identity)


def test_the_identity_never_changes_between_releases() -> None:
    identity = Registration("model", "v1", image()).identity
    assert identity == "d6424c85184bf3bea312a8fdfa34af7342e9652623f4bc7e4538d9e7fe54de8a"
