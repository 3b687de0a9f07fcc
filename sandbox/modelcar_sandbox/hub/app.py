"""The Hub over HTTP, as huggingface_hub reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import FileWrapper

from modelcar_sandbox.hub import documents
from modelcar_sandbox.hub.access import Refusal, UrlSigner, User, check_readable, check_visible, find_user
from modelcar_sandbox.hub.objects import Commit, RepositoryFile
from modelcar_sandbox.hub.store import BLOCK_BYTES, DATASETS, Hub, Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ENTRIES_PER_PAGE = 1000
LINK_LIFETIME_S = 3600

_REPOSITORY = "/api/<any(models, datasets):kind>/<organisation>/<name>"
_RULES = Map(
    [
        Rule("/api/whoami-v2", methods=["GET"], endpoint="whoami"),
        Rule("/api/agent-harnesses", methods=["GET"], endpoint="agent_harnesses"),
        Rule(_REPOSITORY, methods=["GET"], endpoint="info"),
        Rule(f"{_REPOSITORY}/revision/<revision>", methods=["GET"], endpoint="info"),
        Rule(f"{_REPOSITORY}/refs", methods=["GET"], endpoint="references"),
        Rule(f"{_REPOSITORY}/tree/<revision>", methods=["GET"], endpoint="tree"),
        Rule(f"{_REPOSITORY}/tree/<revision>/<path:path>", methods=["GET"], endpoint="tree"),
        Rule(f"{_REPOSITORY}/paths-info/<revision>", methods=["POST"], endpoint="paths_info"),
        Rule(f"{_REPOSITORY}/xet-read-token/<revision>", methods=["GET"], endpoint="xet_token"),
        *(
            Rule(
                f"{prefix}/<organisation>/<name>/resolve/<revision>/<path:path>",
                methods=["GET"],
                endpoint="resolve",
                defaults={"kind": kind},
            )
            for prefix, kind in (("", "models"), ("/datasets", "datasets"))
        ),
        Rule("/cdn/<path:repo_id>/<commit_hash>/<sha256>", methods=["GET"], endpoint="cdn"),
    ],
    merge_slashes=False,
)


def create_app(
    directory: Path,
    *,
    tokens: Mapping[str, User] | None = None,
    link_lifetime_s: int = LINK_LIFETIME_S,
    xet: bool = False,
    clock: Callable[[], float] = time.time,
) -> WSGIApplication:
    """Serve the repositories below `directory`.

    Args:
        directory: The one that a `Hub` publishes to; may change while it is served.
        tokens: Users by their token; any other token is refused. Without a token one reads what is public.
        link_lifetime_s: How long the address of a large file can be used.
        xet: Whether large files are said to be kept in Xet, as the real Hub says of nearly all. They come by the same
            addresses, but huggingface_hub then wants them by hf_xet; HF_HUB_DISABLE_XET=1 keeps it from that.
        clock: Seconds since the epoch; replaced in tests.
    """
    signer = UrlSigner(lifetime_s=link_lifetime_s, clock=clock)
    return _Application(Hub(directory), tokens or {}, signer, xet=xet)


class _Application:
    """One method for each endpoint of the rules above."""

    def __init__(self, hub: Hub, tokens: Mapping[str, User], signer: UrlSigner, *, xet: bool) -> None:
        self._hub = hub
        self._tokens = tokens
        self._signer = signer
        self._xet = xet

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.file_wrapper"] = lambda file, _: FileWrapper(file, BLOCK_BYTES)  # werkzeug's own sends 8 KiB
        request = Request(environ)
        try:
            endpoint, arguments = _RULES.bind_to_environ(environ).match()
            response: Response = getattr(self, f"_{endpoint}")(request, **arguments)
        except Refusal as refusal:
            response = _refuse(refusal)
        except HTTPException as error:
            response = _refuse(Refusal(error.code or 500, error.name))
            response.headers.update(  # the right length to a wrong range, the right methods to a wrong one
                {name: value for name, value in error.get_headers(environ) if name != "Content-Type"}
            )
        return response(environ, start_response)

    def _whoami(self, request: Request) -> Response:
        user = find_user(self._tokens, request.headers.get("Authorization"))
        if user is None:
            raise Refusal(401, "Invalid username or password.")
        access_token = {"displayName": "sandbox", "role": "read"}
        return _json(
            {
                "type": "user",
                "id": user.name,
                "name": user.name,
                "fullname": user.name,
                "orgs": [],
                "auth": {"type": "access_token", "accessToken": access_token},
            }
        )

    def _agent_harnesses(self, _: Request) -> Response:
        return _json({"standardEnvVars": [], "harnesses": {}})

    def _info(self, request: Request, kind: str, organisation: str, name: str, revision: str = "main") -> Response:
        repo_id, settings, _ = self._open(request, kind, organisation, name)
        commit = created = self._commit(repo_id, revision)
        while created.parent:
            created = self._commit(repo_id, created.parent)
        with_blobs = request.args.get("blobs", "").lower() in {"1", "true"}
        return _json(documents.describe(repo_id, settings, commit, created=created, with_blobs=with_blobs))

    def _references(self, request: Request, kind: str, organisation: str, name: str) -> Response:
        repo_id, _, _ = self._open(request, kind, organisation, name)
        return _json(documents.references(self._hub.references(repo_id)))

    def _tree(
        self, request: Request, kind: str, organisation: str, name: str, revision: str, path: str = ""
    ) -> Response:
        repo_id, _, _ = self._open(request, kind, organisation, name)
        commit = self._commit(repo_id, revision)
        recursive = request.args.get("recursive", "").lower() in {"1", "true"}
        entries = documents.tree(commit, path.strip("/"), recursive=recursive, xet=self._xet)
        if not entries:
            raise _no_entry(commit, path)
        try:
            start = int(request.args.get("cursor", "0"))
        except ValueError as error:
            raise Refusal(400, "Invalid cursor") from error
        response = _json(entries[start : start + ENTRIES_PER_PAGE])
        if start + ENTRIES_PER_PAGE < len(entries):
            query = {**request.args.to_dict(), "cursor": str(start + ENTRIES_PER_PAGE)}
            response.headers["Link"] = f'<{request.base_url}?{urlencode(query)}>; rel="next"'
        return response

    def _paths_info(self, request: Request, kind: str, organisation: str, name: str, revision: str) -> Response:
        repo_id, _, _ = self._open(request, kind, organisation, name)
        commit = self._commit(repo_id, revision)
        return _json(documents.paths_info(commit, request.form.getlist("paths"), xet=self._xet))

    def _xet_token(self, request: Request, kind: str, organisation: str, name: str, revision: str) -> Response:
        repo_id, settings, user = self._open(request, kind, organisation, name)
        check_readable(repo_id, settings, user)
        self._commit(repo_id, revision)
        raise Refusal(501, "This Hub has no Xet storage to give a token for; set HF_HUB_DISABLE_XET=1")

    def _resolve(self, request: Request, kind: str, organisation: str, name: str, revision: str, path: str) -> Response:
        repo_id, settings, user = self._open(request, kind, organisation, name)
        check_readable(repo_id, settings, user)
        commit = self._commit(repo_id, revision)
        file = next((file for file in commit.files if file.path == path), None)
        if file is None:
            raise _no_entry(commit, path)
        if not file.is_large:
            return self._send(request, repo_id, commit, file, etag=file.git_blob_id)
        target = f"/cdn/{repo_id}/{commit.commit_hash}/{file.sha256}"
        response = Response("", 302)
        host = request.host_url.rstrip("/")
        # huggingface_hub looks at what a redirect says of Xet only if it leads to another host.
        storage = host.replace("//127.0.0.1", "//localhost") if self._xet else host
        response.location = f"{storage}{target}?{self._signer.query(target)}"
        if self._xet:
            response.headers["X-Xet-Hash"] = documents.xet_hash(file)
            route = f"{host}/api/{kind}/{organisation}/{name}/xet-read-token/{commit.commit_hash}"
            response.headers["Link"] = f'<{route}>; rel="xet-auth"'
        return _describe(response, commit, file)

    def _cdn(self, request: Request, repo_id: str, commit_hash: str, sha256: str) -> Response:
        self._signer.check(request.path, request.args.get("Expires", ""), request.args.get("Signature", ""))
        commit = self._commit(repo_id, commit_hash)
        file = next(file for file in commit.files if file.sha256 == sha256)
        return _describe(self._send(request, repo_id, commit, file, etag=sha256), commit, file)

    def _open(self, request: Request, kind: str, organisation: str, name: str) -> tuple[str, Settings, User | None]:
        """The repository's id and settings, and who asks, when they may know of it."""
        user = find_user(self._tokens, request.headers.get("Authorization"))
        repo_id = f"{DATASETS}{organisation}/{name}" if kind == "datasets" else f"{organisation}/{name}"
        return repo_id, check_visible(repo_id, self._hub.settings(repo_id), user), user

    def _commit(self, repo_id: str, revision: str) -> Commit:
        # cheroot leaves an escaped slash as it is, so that `refs/pr/1` is one part of the path.
        commit = self._hub.resolve(repo_id, revision.replace("%2F", "/"))
        if commit is None:
            raise Refusal(404, f"Invalid rev id: {revision}", code="RevisionNotFound")
        return commit

    def _send(self, request: Request, repo_id: str, commit: Commit, file: RepositoryFile, *, etag: str) -> Response:
        """The file's content, or the range of it that was asked for."""
        response = send_file(
            self._hub.content_path(repo_id, file.sha256),
            request.environ,
            mimetype="application/octet-stream",
            download_name=file.path.rpartition("/")[2],
            etag=etag,
        )
        response.headers["X-Repo-Commit"] = commit.commit_hash
        return response


def _describe(response: Response, commit: Commit, file: RepositoryFile) -> Response:
    """Say which large file this is; the redirect says it too, so that a client need not follow it to know."""
    response.headers["X-Repo-Commit"] = commit.commit_hash
    response.headers["X-Linked-Etag"] = f'"{file.sha256}"'
    response.headers["X-Linked-Size"] = str(file.size_bytes)
    return response


def _no_entry(commit: Commit, path: str) -> Refusal:
    return Refusal(404, f"Entry not found: {path}", code="EntryNotFound", commit_hash=commit.commit_hash)


def _json(document: object) -> Response:
    return Response(json.dumps(document), mimetype="application/json")


def _refuse(refusal: Refusal) -> Response:
    response = _json({"error": str(refusal)})
    response.status_code = refusal.status
    response.headers["X-Error-Message"] = quote(str(refusal), safe=" .:,/'()")  # a header holds no line ends
    if refusal.code:
        response.headers["X-Error-Code"] = refusal.code
    if refusal.commit_hash:
        response.headers["X-Repo-Commit"] = refusal.commit_hash
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'
    return response
