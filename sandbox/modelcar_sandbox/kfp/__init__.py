"""The Kubeflow Pipelines API server: it keeps pipelines, runs them as processes, and fires recurring runs.

It answers under `/apis/v2beta1/` as a server for one user with a MySQL database does. `tests/contracts/kfp-api.jsonl`
holds what the real server answered; every step of it holds here. Copied on purpose, because clients must live with it:

- upload makes a pipeline and a first version of the same name; names compare without case; exactly 128 characters are
  answered with 500;
- times have whole seconds. Of versions of one second the one with the highest id is the latest, and ids are random;
- a run of what is not there is 500, not 404; there is no update of a recurring run, and two of one name are two;
- a run that is terminated is CANCELING, and then FAILED, not CANCELED;
- a recurring run without version takes the latest of each time; a pinned one has what its version was when it was made;
- a recurring run that is deleted takes its running runs with it: they are killed, and told as RUNNING for ever.
  `propagation_policy=ORPHAN` lets them go on;
- cron is that of robfig/cron v1, in one zone. A recurring run whose cron never comes is taken. What was missed is made
  up for, one by one as `max_concurrency` allows, or only the last of it with `no_catchup`;
- tasks are the nodes of a workflow, with drivers and executors, in no order, named as in the pipeline, not by their
  display names; a log is read by the name of a node or pod, and its errors begin with status 200.

Where it is not like the real server:

- a run is a process of this machine, see `modelcar_pipelines.local_child` for what that does not do; when it is
  terminated it is killed at once. Runs under way end with the server, and have failed;
- a failed run and its failed tasks say why in `error`, which the real server leaves out;
- artifacts that are files can be read at `…/nodes/NODE/artifacts/NAME:read`, and logs as they come. The real server
  reads there what Argo keeps, which of a compiled pipeline is the log, `main-logs`; the rest is in its object store;
- rounds of loops are called `iteration-0` and so on; drivers take no time; a step without retries has no node for its
  attempt even if its task allows some; execution ids and tasks that were never reached are not told;
- times of runs are the server's clock's, those of tasks the machine's: they differ when a test moves the clock;
- a recurring run fires the moment it is due, not up to ten seconds later, and its run is there at once and PENDING;
- a recurring run without trigger keeps its empty `trigger`;
- a recurring run whose cron never comes harms no other;
- the pipeline's structure is not checked before it runs, only that it has a name, a root and the schema's version; its
  literals are not looked at; files are YAML or JSON, not archives;
- it has no web interface, and says so where people come by a run's link;
- nothing can be renamed or tagged, runs cannot be retried (501); a namespace is ignored everywhere; nobody has to log
  in; messages of errors are not word for word.
"""

from modelcar_sandbox.kfp.clock import RealClock, SteppedClock
from modelcar_sandbox.kfp.server import PipelineServer

__all__ = ["PipelineServer", "RealClock", "SteppedClock"]
