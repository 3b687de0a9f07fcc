"""How Jupyter is set up in a workbench where nobody says otherwise, by its arguments or in `~/.jupyter`.

A token is asked for: whoever has no proxy before the workbench that asks who somebody is has a password all the same.
"""

import os

c = get_config()  # type: ignore[name-defined] # noqa: F821 - Jupyter defines it
c.ServerApp.ip = "*"
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0  # a workbench on another port is one that no probe finds
c.ServerApp.base_url = os.environ.get("NB_PREFIX", "/")  # /notebook/<namespace>/<name>; probes ask below it for api
c.ServerApp.root_dir = os.environ["HOME"]
c.ServerApp.open_browser = False
