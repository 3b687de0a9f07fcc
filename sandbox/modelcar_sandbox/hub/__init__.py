"""A Hub on this machine: serves models and data sets to the unmodified huggingface_hub, with commits that stay.

`Hub` publishes and reads repositories on disk, `create_app` serves them. Hashes are those that git would give.

Where it differs from huggingface.co:

- Only what reading one needs: no uploads over HTTP, no search, no spaces. A new commit comes from
  `Hub.publish`.
- There is no Xet storage. With `xet` the answers say that large files are kept there, by names that Xet would not
  compute, and give them by the signed addresses that the real one calls its bridge. Who asks for a token to Xet itself
  is refused with 501, so huggingface_hub downloads with HF_HUB_DISABLE_XET=1 only.
- Large files are sent from this server too, below `/cdn/`, where the real one redirects to another host. The signed
  address expires just as there. With `xet` it names another host, if only `localhost` for `127.0.0.1`.
- Small files come at once, without the real one's redirect to its cache, and never compressed.
- A file listing ignores `expand`: no last commit of a file, no security scan.
- There is no model card metadata in `model_info`, and all counters are 0.

Source: https://huggingface.co/docs/hub/api, and what huggingface_hub asks for.
"""

from modelcar_sandbox.hub.access import User
from modelcar_sandbox.hub.app import create_app
from modelcar_sandbox.hub.store import Hub

__all__ = ["Hub", "User", "create_app"]
