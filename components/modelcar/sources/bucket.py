"""Buckets of S3: what their URIs mean, and what the environment says of how to reach them.

The variables are those of AWS's own tools, and those that a data connection of OpenShift AI mounts beside them:

=============================================================  ======================================================
`AWS_ACCESS_KEY_ID` `AWS_SECRET_ACCESS_KEY`                    Keys; without them obstore asks for those of the pod
`AWS_SESSION_TOKEN`                                            or the machine (`AWS_ROLE_ARN`, instance metadata)
`AWS_SKIP_SIGNATURE`                                           `true`: a public bucket, no keys are asked for
`AWS_ENDPOINT_URL_S3` `AWS_S3_ENDPOINT` `AWS_ENDPOINT_URL`     The server, the first that is set; else AWS
`AWS_REGION` `AWS_DEFAULT_REGION`                              The first that is set; else us-east-1
`AWS_S3_BUCKET`                                                The bucket of `s3:///prefix`
`AWS_VIRTUAL_HOSTED_STYLE_REQUEST`                             `true`: the bucket goes into the host's name
`AWS_CA_BUNDLE` `REQUESTS_CA_BUNDLE` `SSL_CERT_FILE`           Certificates to trust beside the system's
`HTTPS_PROXY` `HTTP_PROXY` `NO_PROXY`                          As everywhere
=============================================================  ======================================================

A variable that is set to nothing counts as not set; but keys that are set to nothing hide those of pod and machine.
`~/.aws` is not read.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html,
https://developmentseed.org/obstore/latest/api/store/aws/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from modelcar.errors import InvalidInput, InvalidReference

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Store

SCHEME = "s3://"
DEFAULT_REGION = "us-east-1"
CONNECT_TIMEOUT_S = 20
READ_TIMEOUT_S = 60
_LONGEST_READ = timedelta(days=30)
"""obstore bounds a whole answer, too, by 30 s if nothing is said; a large file takes as long as it takes."""

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
KEYS = (_KEY, _SECRET) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - a name
_SWITCH = {"true": True, "1": True, "false": False, "0": False, "": False}

# Older buckets, and those of other servers than AWS, may have capitals and underscores.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION = re.compile(r"[A-Za-z0-9-]+")
_EVERY_REGION = "s3.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Location:
    """A directory of a bucket.

    Attributes:
        bucket: Its name.
        prefix: What the keys begin with, without a slash at the end; empty for the whole bucket.
    """

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}" if self.prefix else SCHEME + self.bucket

    def key(self, path: str) -> str:
        """The key of a file of the directory."""
        return f"{self.prefix}/{path}" if self.prefix else path


@dataclass(frozen=True, slots=True)
class Server:
    """Where a bucket is.

    Attributes:
        url: `https://host[:port]`, or `http://` where the environment says so.
        region: That requests are signed for.
        variable: That names the address; None for AWS.
    """

    url: str
    region: str
    variable: str | None

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc


def parse_location(uri: str, environ: Mapping[str, str]) -> Location:
    """Read `s3://bucket/prefix`, character by character as the keys are: nothing is percent-encoded.

    Args:
        uri: Without a bucket (`s3:///prefix`), that of `AWS_S3_BUCKET` is meant.
        environ: Holds that variable.

    Raises:
        InvalidReference: It is no such URI, or names keys that no image could hold.
    """
    if not uri.startswith(SCHEME):
        raise InvalidReference(f"{uri!r} does not name a bucket", hint="Write s3://bucket/prefix.")
    written, _, prefix = uri.removeprefix(SCHEME).partition("/")
    if "@" in written or ":" in written:  # not shown: it may be a login
        raise InvalidReference(
            "the S3 URI has more than a bucket before its first slash",
            hint=f"Write s3://bucket/prefix; keys belong into {_KEY} and {_SECRET}, the server into {_ENDPOINTS[0]}.",
        )
    bucket = written or environ.get("AWS_S3_BUCKET", "")
    if not bucket:
        raise InvalidReference(
            f"{uri!r} names no bucket, and AWS_S3_BUCKET is not set", hint="Write s3://bucket/prefix."
        )
    if not _BUCKET.fullmatch(bucket):
        where = repr(uri) if written else "AWS_S3_BUCKET"
        raise InvalidReference(f"{where} names no bucket: {bucket!r} cannot be one", hint="Write s3://bucket/prefix.")
    prefix = prefix.removesuffix("/")
    if prefix and (fault := _prefix_fault(prefix)):
        raise InvalidReference(f"{uri!r} {fault}", hint="Name the keys' common beginning, up to a slash.")
    return Location(bucket, prefix)


def find_server(bucket: str, environ: Mapping[str, str]) -> Server:
    """Where the environment says that the bucket is.

    An address without a scheme means HTTPS. `s3.amazonaws.com`, which data connections are often given, means AWS
    whatever the region.

    Raises:
        InvalidInput: An address or a region that cannot be one.
    """
    region = _first(_REGIONS, environ)[1] or DEFAULT_REGION
    if not _REGION.fullmatch(region):
        raise InvalidInput(f"{region!r} is not a region", hint="Look at AWS_REGION and AWS_DEFAULT_REGION.")
    variable, written = _first(_ENDPOINTS, environ)
    address = (written if "://" in written else f"https://{written}").rstrip("/")
    if not written or address.partition("://")[2] == _EVERY_REGION:
        suffix = ".cn" if region.startswith("cn-") else ""
        variable, address = None, f"https://s3.{region}.amazonaws.com{suffix}"
    elif not _is_server(address):
        raise InvalidInput(
            f"{variable} is not the address of a server",
            hint="Write it like https://minio.example.com:9000, without a name, a password or a path.",
        )
    if _switch("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", environ):
        address = address.replace("://", f"://{bucket}.", 1)
    return Server(address, region, variable)


def open_store(bucket: str, server: Server, environ: Mapping[str, str]) -> S3Store:
    """A client for one bucket; nothing is asked yet, and it never asks twice: what to repeat is decided above it.

    Args:
        bucket: Its name.
        server: From `find_server`.
        environ: With keys, certificates and switches.

    Raises:
        InvalidInput: A variable is half of a pair, no switch, or a file that cannot be read.
    """
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    options: ClientConfig = {
        "allow_http": server.url.startswith("http://"),
        "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
        "read_timeout": timedelta(seconds=READ_TIMEOUT_S),
        "timeout": _LONGEST_READ,
    }
    if certificates := _read_certificates(environ):
        options["root_certificate"] = certificates
    # obstore reads the environment, too, and takes what is set to nothing for an address: what we found goes first.
    config: dict[str, Any] = {
        "aws_endpoint_url_s3": server.url,
        "region": server.region,
        "virtual_hosted_style_request": _switch("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", environ),
        "skip_signature": _switch("AWS_SKIP_SIGNATURE", environ),
    }
    if not config["skip_signature"] and (keys := _read_keys(environ)):
        config["credential_provider"] = lambda: keys
    try:
        return S3Store(bucket, client_options=options, retry_config={"max_retries": 0}, **config)
    except (BaseError, ValueError):  # its words may hold what the variable holds
        raise InvalidInput(
            "an AWS_… variable has a value that cannot be, or the certificates to trust are none",
            hint=f"Look at {', '.join(_BUNDLES)} and the AWS_ variables of the environment.",
        ) from None


def _prefix_fault(prefix: str) -> str | None:
    if not prefix.isprintable():
        return "has characters that cannot be printed"
    if any(part in ("", ".", "..") for part in prefix.split("/")):
        return "has an empty name, . or .. between slashes"
    return None


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> tuple[str | None, str]:
    """The first variable that is set to something, and its value."""
    return next(((name, value) for name in names if (value := environ.get(name, "").strip())), (None, ""))


def _is_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        port_is_sound = parts.port != 0
    except ValueError:  # brackets, or a port that is no number
        return False
    extra = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_sound and not extra


def _switch(name: str, environ: Mapping[str, str]) -> bool:
    written = environ.get(name, "").strip()
    if written.lower() not in _SWITCH:
        raise InvalidInput(f"{name} is {written!r}", hint="Write true or false.")
    return _SWITCH[written.lower()]


def _read_keys(environ: Mapping[str, str]) -> dict[str, str | None]:
    """The keys as obstore takes them; empty when there are none."""
    key, secret, token = (environ.get(name, "").strip() for name in (_KEY, _SECRET, _TOKEN))
    if bool(key) != bool(secret):
        there, lacking = (_KEY, _SECRET) if key else (_SECRET, _KEY)
        raise InvalidInput(f"{there} is set and {lacking} is not", hint="Set both, or neither.")
    if not all((part.isascii() and part.isprintable()) or not part for part in (key, secret, token)):
        raise InvalidInput(
            "the S3 keys have characters that no key has", hint=f"Look at {_KEY}, {_SECRET} and {_TOKEN}."
        )
    return (
        {"access_key_id": key, "secret_access_key": secret, "token": token or None, "expires_at": None} if key else {}
    )


def _read_certificates(environ: Mapping[str, str]) -> str | None:
    variable, path = _first(_BUNDLES, environ)
    if variable is None:
        return None
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise InvalidInput(
            f"the certificates to trust, {path!r}, cannot be read: {error.strerror}", hint=f"Look at {variable}."
        ) from error
