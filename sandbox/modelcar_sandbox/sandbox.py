"""All services together in one directory: start them, fill them, and say where they are."""

from __future__ import annotations

import fcntl
import os
import shlex
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from modelcar.errors import InvalidInput, PromotionError
from modelcar_gitops import NAMESPACE
from modelcar_sandbox import git_tree
from modelcar_sandbox.atomic import write_atomically
from modelcar_sandbox.base_image import push_base_image
from modelcar_sandbox.demo_data import write_demo_data
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.hosts import LOOPBACK, check_host
from modelcar_sandbox.hub import Hub
from modelcar_sandbox.hub import create_app as create_hub
from modelcar_sandbox.kfp import PipelineServer
from modelcar_sandbox.kubernetes import create_app as create_kubernetes
from modelcar_sandbox.kubernetes import write_kubeconfig
from modelcar_sandbox.model_registry.app import create_app as create_model_registry
from modelcar_sandbox.object_store import KEYS, REGION, ObjectStore
from modelcar_sandbox.oci_registry.app import create_app as create_oci_registry
from modelcar_sandbox.ports import read_ports, take_port, write_ports

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

DEMO_MODEL = git_tree.DEMO_MODEL
DEMO_DATA = "datasets/sandbox/demo-sentences"
BUCKET, BUCKET_DIRECTORY = "models", "demo-llama"

_SPEC = """\
# What is promoted in the sandbox, and to where. docs/reference/promotion-spec.md tells every key.
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model:
  source: hf://{model}
  revision: main
image:
  repository: {registry}/models/demo-llama
  tag: latest
  baseImage: {base_image}
modelRegistry:
  url: {model_registry}
  registeredModel: demo-llama
inferenceService:
  repository: {git}
  branch: {branch}
  path: {manifest}
  name: {inference_service}
  namespace: {namespace}
"""


_TOKENS = (
    "AWS_SESSION_TOKEN",
    "KF_PIPELINES_TOKEN",
    "KF_PIPELINES_TOKEN_FILE",
    "KF_PIPELINES_SA_TOKEN_PATH",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "MODELCAR_GIT_TOKEN",
    "MODELCAR_GIT_TOKEN_FILE",
    "MODELCAR_GIT_USERNAME",
    "MODEL_REGISTRY_TOKEN",
    "MODEL_REGISTRY_TOKEN_FILE",
    "REGISTRY_AUTH_FILE",
)


class Sandbox:
    """Hub, object store, OCI registry, Model Registry, pipelines, Kubernetes API and git, while the context is open.

    What they hold stays in the directory, whatever ends the process, and each service comes back on the same port: so
    what was written into git stays true. The object store alone has the demo model each time, and nothing else.

    Attributes:
        directory: Absolute; holds everything, and nothing is written elsewhere.
        host: Address on which the services listen.
        hub: Where models are published.
        hub_url: `http://host:port`.
        object_store_url: `http://host:port`, which speaks S3.
        registry_address: `host:port` of the OCI registry, which speaks plain HTTP.
        model_registry_url: `http://host:port`.
        pipelines_url: `http://host:port` of the Kubeflow Pipelines API.
        kubeconfig: For clients of the Kubernetes API.
        git_url: `file://…` of the bare GitOps repository.
        base_image: Reference of the synthetic base image.
        environment: Variables with which commands use the sandbox.
        environment_file: The same as shell `export`s.
        promotion_spec: A PromotionSpec that is ready to be promoted.
    """

    hub_url: str
    object_store_url: str
    registry_address: str
    model_registry_url: str
    git_url: str
    pipelines_url: str
    base_image: str

    def __init__(self, directory: Path, host: str = LOOPBACK) -> None:
        """Name directory and address; nothing happens before the context is entered.

        Args:
            directory: Made when it is not there; one that an earlier sandbox left is taken up again.
            host: An address of this machine, as others are to write it; everybody who reaches it may do everything.

        Raises:
            InvalidInput: The address is one for all addresses, or IPv6.
        """
        check_host(host)
        self.directory = directory.absolute()
        self.host = host
        self.hub = Hub(self.directory / "hub")
        self.environment_file = self.directory / "sandbox.env"
        self.kubeconfig = self.directory / "kubeconfig"
        self.promotion_spec = self.directory / "promotion.yaml"
        self.environment: dict[str, str] = {}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            InvalidInput: The directory cannot be made, or the address is not this machine's.
            PromotionError: A sandbox runs in the directory already, or a port that it had is taken.
        """
        with ExitStack() as starting:
            self._lock(starting)
            self._start(starting)
            self._fill()
            self._write_files()
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything; requests under way are ended."""
        self._running.close()

    def _lock(self, starting: ExitStack) -> None:
        """Keep a second sandbox out of the directory until this one ends, even by SIGKILL."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = starting.enter_context((self.directory / "sandbox.lock").open("a+"))
        except OSError as error:
            raise InvalidInput(
                f"{self.directory} cannot hold a sandbox: {error.strerror}", hint="Name a directory that you may write."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise PromotionError(
                f"a sandbox runs in {self.directory} already, as process {lock.read().strip() or 'unknown'}",
                hint="Use that one, stop it, or name another directory.",
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()

    def _start(self, starting: ExitStack) -> None:
        """Start each service on the port that it had, or else on a free one."""
        # Its runs are processes, which end with it, after nobody can start new ones.
        pipelines = starting.enter_context(PipelineServer(self.directory / "pipelines", environment=self.environment))
        kubernetes = create_kubernetes(self.directory / "kubernetes")
        applications: dict[str, WSGIApplication] = {
            "hub": create_hub(self.hub.directory),
            "object-store": ObjectStore(self._fill_bucket),
            "oci-registry": create_oci_registry(self.directory / "oci-registry"),
            "model-registry": create_model_registry(self.directory / "model-registry"),
            "pipelines": pipelines.app,
            "kubernetes": kubernetes,
        }
        state = self.directory / "sandbox.json"
        remembered = read_ports(state)
        services = {}
        for name, application in applications.items():
            services[name] = take_port(name, application, host=self.host, port=remembered.get(name))
            starting.enter_context(services[name])
        starting.callback(kubernetes.close)  # its watches end before it is stopped, which waits for them
        write_ports(state, services)
        write_kubeconfig(self.kubeconfig, services["kubernetes"].url)
        self.hub_url = services["hub"].url
        self.object_store_url = services["object-store"].url
        self.registry_address = services["oci-registry"].address
        self.model_registry_url = services["model-registry"].url
        self.pipelines_url = services["pipelines"].url

    def _fill(self) -> None:
        """Put in what a first promotion needs; what is there stays."""
        there = self.hub.repositories()
        for name, write in ((DEMO_MODEL, write_demo_model), (DEMO_DATA, write_demo_data)):
            if name not in there:
                with tempfile.TemporaryDirectory(dir=self.directory, prefix=".fill-") as files:
                    write(Path(files))
                    self.hub.publish(name, Path(files))
        self.base_image = push_base_image(f"http://{self.registry_address}")
        repository = git_tree.create_gitops_repository(self.directory, registry=self.registry_address)
        self.git_url = repository.as_uri()

    def _fill_bucket(self, store: ObjectStore) -> None:
        """Put the demo model, too, where the object store is asked for it."""
        store.make_bucket(BUCKET)
        with tempfile.TemporaryDirectory(dir=self.directory, prefix=".fill-") as files:
            write_demo_model(Path(files))
            store.put_directory(BUCKET, BUCKET_DIRECTORY, Path(files))

    def _write_files(self) -> None:
        """Say where everything is; a spec that the user changed is kept while it names these services."""
        beside_proxy = ",".join(filter(None, [self.host, os.environ.get("no_proxy") or os.environ.get("NO_PROXY")]))
        self.environment |= {
            "AWS_ENDPOINT_URL_S3": self.object_store_url,
            "AWS_REGION": REGION,
            "AWS_S3_BUCKET": BUCKET,
            **KEYS,
            "HF_ENDPOINT": self.hub_url,
            "HF_HOME": str(self.directory / "hf-home"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "KF_PIPELINES_ENDPOINT": self.pipelines_url,
            "KUBECONFIG": str(self.kubeconfig),
            "MODELCAR_BASE_IMAGE": self.base_image,
            "MODELCAR_GIT_URL": self.git_url,
            "MODELCAR_REGISTRY": self.registry_address,
            "MODEL_REGISTRY_URL": self.model_registry_url,
            "NO_PROXY": beside_proxy,
            "no_proxy": beside_proxy,
            # A login that the user has for other services is neither sent here nor asked for by a helper.
            "DOCKER_CONFIG": str(self.directory / "no-logins"),
            "HF_TOKEN_PATH": str(self.directory / "hf-home" / "token"),
            **dict.fromkeys(_TOKENS, ""),
        }
        exports = [f"export {name}={shlex.quote(value)}\n" for name, value in self.environment.items()]
        note = "# Commands that have read this file use the sandbox. Tokens are emptied, so that yours stay with you.\n"
        write_atomically(self.environment_file, note + "".join(exports))
        addresses = (self.registry_address, self.model_registry_url, self.git_url)
        spec = self.promotion_spec.read_text() if self.promotion_spec.exists() else ""
        if not all(address in spec for address in addresses):
            write_atomically(self.promotion_spec, self._spec())

    def _spec(self) -> str:
        return _SPEC.format(
            model=DEMO_MODEL,
            registry=self.registry_address,
            base_image=self.base_image,
            model_registry=self.model_registry_url,
            git=self.git_url,
            branch=git_tree.BRANCH,
            manifest=git_tree.MANIFEST,
            inference_service=git_tree.INFERENCE_SERVICE,
            namespace=NAMESPACE,
        )
