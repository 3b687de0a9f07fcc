"""Which pages the addresses tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelcar.page import ImageReport, SourceReport
from modelcar.page.links import commit_page, hub_page, image_page, without_login
from page.examples import COMMIT, DIGEST, PATCH, SOURCE

C = "b1946ac92492d2347c6235b4d2611184a5e5d3c2"


@pytest.mark.parametrize(
    ("repository", "page"),
    [
        ("https://github.com/acme/x.git", f"https://github.com/acme/x/commit/{C}"),
        ("https://github.com/acme/x/", f"https://github.com/acme/x/commit/{C}"),
        ("https://github.example.com/acme/x", f"https://github.example.com/acme/x/commit/{C}"),
        ("https://gitlab.com/group/sub/x.git", f"https://gitlab.com/group/sub/x/-/commit/{C}"),
        ("https://gitlab.example.com:8443/a/x.git", f"https://gitlab.example.com:8443/a/x/-/commit/{C}"),
        ("https://codeberg.org/acme/x.git", f"https://codeberg.org/acme/x/commit/{C}"),
        ("http://gitea.git.svc:3000/acme/x.git", f"http://gitea.git.svc:3000/acme/x/commit/{C}"),
        ("https://forgejo.example/acme/x", f"https://forgejo.example/acme/x/commit/{C}"),
        ("https://user:geheim@gitlab.com/a/x", f"https://gitlab.com/a/x/-/commit/{C}"),
        ("https://git.example.com/acme/x.git", None),
        ("https://notgithub.com/acme/x.git", None),
        ("https://bitbucket.org/acme/x.git", None),
        ("ssh://git@github.com/acme/x.git", None),
        ("git@github.com:acme/x.git", None),
        ("file:///srv/git/x.git", None),
        ("https://[", None),
        ("https://github.com:port/x", None),
    ],
)
def test_the_page_of_a_commit(repository: str, page: str | None) -> None:
    assert commit_page(replace(PATCH, repository=repository)) == page


@pytest.mark.parametrize("commit", [None, "", "main", "xyz", "b1946ac/../../evil"])
def test_what_is_no_commit_has_no_page(commit: str | None) -> None:
    assert commit_page(replace(PATCH, commit=commit)) is None


@pytest.mark.parametrize(
    ("source", "page"),
    [
        (SOURCE, f"https://huggingface.co/ibm-granite/granite-3.3-2b-instruct/commit/{COMMIT}"),
        (replace(SOURCE, hub="https://huggingface.co/"), f"https://huggingface.co/{SOURCE.uri[5:]}/commit/{COMMIT}"),
        (replace(SOURCE, commit_hash=None), f"https://huggingface.co/{SOURCE.uri[5:]}"),
        (replace(SOURCE, hub="http://127.0.0.1:8080"), None),
        (SourceReport("file:///models/x", None, 1, 1), None),
    ],
)
def test_the_page_of_a_model(source: SourceReport, page: str | None) -> None:
    assert hub_page(source) == page


@pytest.mark.parametrize(
    ("reference", "page"),
    [
        (f"quay.io/a/b@{DIGEST}", f"https://quay.io/repository/a/b/manifest/{DIGEST}"),
        (f"quay.example/a/b@{DIGEST}", None),
        ("quay.io/a/b", None),
    ],
)
def test_the_page_of_an_image(reference: str, page: str | None) -> None:
    assert image_page(ImageReport(reference)) == page


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:geheim@host/x", "https://host/x"),
        ("https://geheim@host/x", "https://host/x"),
        ("ssh://git:geheim@host/x", "ssh://git@host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("git@host:x", "git@host:x"),
        ("https://host/a@b:c", "https://host/a@b:c"),
    ],
)
def test_an_address_is_shown_without_a_password(address: str, shown: str) -> None:
    assert without_login(address) == shown
