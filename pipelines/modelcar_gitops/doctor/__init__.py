"""`modelcar doctor`: what is reachable, which Secret is missing, and what serves.

`findings` says what can be told; `reachability`, `secrets` and `rollouts` look; `examination` is all of it, `showing`
draws it.
"""
