"""The Kubeflow Model Registry's REST interface, on SQLite.

It answers under `/api/model_registry/v1/` and `/api/model_registry/v1alpha3/`, and `OK` at `/readyz/health`.
`tests/contracts/model-registry.jsonl` holds what the real server answered; every step of it holds here. Copied on
purpose, because clients must live with it:

- a PATCH that leaves out the state of a model or version makes it LIVE, that of a service DEPLOYED, and that of a
  model artifact (at `/model_artifacts/`) UNKNOWN;
- `filterQuery` is read in lists of models, versions and artifacts; lists of environments, services, servings and
  `/model_artifacts` give back everything, whatever it says;
- in a filter `<>` finds what is equal, and `AND` and the like must be upper case;
- a look-up by name takes `%` and `_` for wildcards, and answers 404 when it finds two;
- a conflict's text names the name, also when it was the external id that clashed.

Where it is not like the real server:

- experiments, experiment runs, data sets, metrics and parameters are not kept (404, or 400 for such an artifact);
- text is compared as `collation` says. The recorded server's database was MariaDB in Latin-1, where `ä`, `å`, `ö`,
  `ø` and `ß` are letters of their own and `ü` is `y`, and text outside Latin-1 is answered with 500; here it is kept;
- property names are exact here; there, two that differ in case become one;
- a member's name in JSON must be written exactly; there, case does not matter. Nothing may follow the body's object;
- an environment's id that is no number is 400, not 404, when a service names it;
- an artifact whose name is given as empty has an empty name; there, it shows its version's id;
- a version that says that it is gated or private at Hugging Face can be served;
- ids have no gaps, because a refused POST takes none;
- a list sorted by time has the id decide among equals, so that its pages never overlap;
- a filter with more than 100 parentheses within each other is refused;
- `HEAD` is answered where `GET` is; there is no CORS;
- a token, when one is set, is checked by this application; there, a proxy in front does it.
"""

from modelcar_sandbox.model_registry.app import create_app

__all__ = ["create_app"]
