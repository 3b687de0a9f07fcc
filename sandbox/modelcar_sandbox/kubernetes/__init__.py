"""A Kubernetes API server: objects are kept, changed and watched, and nothing acts on them.

It holds the kinds in `kinds.py`. Held against a kube-apiserver 1.34 by the same tests; copied on purpose, because
clients must live with it:

- a list in pages shows what was there when the first page was given; a list or watch of what is forgotten is 410;
- to a watch that selects, an object that begins to fit is ADDED, and one that ceases to is DELETED;
- custom kinds take no strategic merge patch and no PUT without a resourceVersion; Leases want one, too;
- `metadata.generation` counts changes of what is wanted, not of labels or the status; where a custom kind has no
  status subresource (Argo CD's Application), changes of the status count;
- what changes nothing makes no new resourceVersion;
- items of lists name their kind only where the kind is custom.

Where it is not like the real server:

- nothing runs: no pods, no controllers, no garbage collection by owner (`propagationPolicy` is not read), no
  `kube-root-ca.crt` and no `default` ServiceAccount in namespaces; a namespace is gone at once with all that is in it;
- everybody may do everything, and it speaks plain HTTP;
- bodies are JSON, never YAML or protobuf (415), so of kubectl's verbs those work that read, patch, label, wait or
  delete, and `create` and `apply` of a file (`--validate=false`), but not `kubectl create namespace NAME` and its kin;
- custom kinds are kept as they are given: their schemas are not applied, so nothing is refused, dropped or filled in.
  Of the kinds of Kubernetes itself, the types of `data`, labels and annotations are looked at, and little is filled in;
- no `managedFields`, no server-side apply, no tables, no `/openapi`, no admission webhooks, no
  subresource but `status`;
- a strategic merge patch cannot say in which order a list is (`$setElementOrder`); a JSON patch cannot copy what is not
  there (the real one copies a null);
- finalizers' names are not checked; a Secret's type may change, and so may a Job's template;
- changes are remembered by their number (1000), not by their age, and until the process ends; a watch that asks for
  the future begins with what comes next;
- a resourceVersion in a GET of one object that is still to come is 504 at once, not after seconds;
- a watch begins with an empty line, so that its headers go out at once;
- each watch keeps one of the server's sixteen threads (`modelcar_sandbox.service`);
- short texts for bodies and selectors that do not parse;
- paths below `/api/v1/watch/` are not there.
"""

from modelcar_sandbox.kubernetes.app import KubernetesApi, create_app
from modelcar_sandbox.kubernetes.kubeconfig import write_kubeconfig

__all__ = ["KubernetesApi", "create_app", "write_kubeconfig"]
