"""An OCI registry (distribution-spec 1.1) for trying and testing.

::

    from modelcar_sandbox.oci_registry import Auth, create_app
    from modelcar_sandbox.service import Service

    with Service(create_app(directory, auth=Auth({"robot": "secret"}))) as service:
        ...  # push to service.address

Differences to a registry in production:

- Nothing is synced to disk; a power failure may lose what was acknowledged, a killed process does not.
- Blobs are kept until they are deleted or no repository has them; there is no other garbage collection, and deleting a
  manifest leaves its blobs.
- One process, one directory, a file system with hard links.
- A refused request is read to its end before the answer is sent (real servers close the connection sooner or later).
- `Accept` is not looked at: a manifest is sent in the type in which it was pushed, and never converted.
- Stricter than the CNCF registry: a manifest whose descriptors state another size than the blob has is refused, and so
  is one that is an image and an index at once. Docker's schema 1 is refused.
- Tokens are only issued to `GET /token` with Basic credentials, not to OAuth2's `POST`; they end with the process. Who
  may push may push to every repository.
- Upload sessions are forgotten at the first start after a week without a byte. There is no smallest chunk size, no
  redirect to another store, no catalog and no rate limit.
"""

from modelcar_sandbox.oci_registry.app import create_app
from modelcar_sandbox.oci_registry.tokens import Auth

__all__ = ["Auth", "create_app"]
