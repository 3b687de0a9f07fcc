"""What a first user gets wrong in `promote`, `register` and `patch`: each gets one clear sentence and the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.command import Fill, Run, Services, Wrong

PROMOTE = ("promote", "promotion.yaml")
KEYS = "docs/reference/promotion-spec.md lists every key and default."
SPEC_FILE = "Name the PromotionSpec's file."
MODEL_REGISTRY = "Check MODEL_REGISTRY_URL, and that the server runs and may be reached from here."
STORAGE_URI = "Write oci://registry/repository@sha256:…, the digest that the push printed, without a tag."
TO = ("--storage-uri", "oci://registry.example/a@{digest}")

SPECS: dict[str, tuple[Callable[[str], str], Wrong]] = {
    "empty": (lambda _: "", Wrong(PROMOTE, "promotion.yaml:1: the file is empty", KEYS)),
    "bad YAML": (
        lambda text: text + "  - x\n",
        Wrong(
            PROMOTE,
            "promotion.yaml:20: not readable as YAML: while parsing a block mapping expected <block end>, "
            "but found '-'",
            KEYS,
        ),
    ),
    "a list": (
        lambda _: "- a\n",
        Wrong(PROMOTE, "promotion.yaml:1: the file holds a list, not the keys of a PromotionSpec", KEYS),
    ),
    "an unknown key": (
        lambda text: text.replace("  tag: latest", "  tags: latest"),
        Wrong(PROMOTE, "promotion.yaml:9: image.tags: unknown key; did you mean tag?", KEYS),
    ),
    "a missing key": (
        lambda text: text.replace("  registeredModel: demo-llama\n", ""),
        Wrong(PROMOTE, "promotion.yaml:11: modelRegistry.registeredModel: is required", KEYS),
    ),
    "another kind": (
        lambda text: text.replace("kind: PromotionSpec", "kind: Promotion"),
        Wrong(
            PROMOTE,
            "promotion.yaml:3: kind: is 'Promotion', not 'PromotionSpec'. This version reads no other.",
            KEYS,
        ),
    ),
    "a password in a URL": (
        lambda text: text.replace("repository: file://", "repository: https://me:s3cret@git.example/x #"),
        Wrong(
            PROMOTE,
            "promotion.yaml:15: inferenceService.repository: holds credentials. Take them out of the URL; they come "
            "by environment or file, never from a spec.",
            KEYS,
        ),
    ),
    "a hold": (
        lambda text: text + "hold: Friday\n",
        Wrong(PROMOTE, "promotions of demo-llama are on hold: Friday", "Take hold out of the spec."),
    ),
    "no such git repository": (
        lambda text: text.replace("gitops.git", "nothing.git"),
        Wrong(
            PROMOTE,
            "there is no git repository at file://{root}/sandbox/git/nothing.git "
            "(does not appear to be a git repository)",
            "Check the address; some servers say the same of a private repository to who may not see it.",
        ),
    ),
    "no such branch": (
        lambda text: text.replace("branch: main", "branch: nope"),
        Wrong(PROMOTE, "{git} has no branch nope", "It has main."),
    ),
    "no such manifest": (
        lambda text: text.replace("demo-llama.yaml", "demo-lama.yml"),
        Wrong(
            PROMOTE,
            "branch main of {git} has no file gitops/stage01-model-serving/application/vllm/demo-lama.yml",
            "Did you mean gitops/stage01-model-serving/application/vllm/demo-llama.yaml or "
            "gitops/stage01-model-serving/application/vllm/vllm-cuda.yaml or "
            "gitops/stage01-model-serving/application/vllm/kustomization.yaml?",
        ),
    ),
    "no such InferenceService": (
        lambda text: text.replace("  name: demo-llama", "  name: nope"),
        Wrong(
            PROMOTE,
            "the manifest has no InferenceService nope in namespace private-ai-demo; "
            "it has InferenceService demo-llama, PersistentVolumeClaim demo-llama-cache",
            "Check the name, the namespace and the path of the manifest.",
        ),
    ),
}

SERVERS = {
    "a Model Registry that does not listen": (
        "{model_registry}",
        "http://{closed}",
        Wrong(
            PROMOTE,
            "the Model Registry at http://{closed} cannot be reached: Connection refused",
            MODEL_REGISTRY,
            code=1,
        ),
    ),
    "the Hub in place of the Model Registry": (
        "{model_registry}",
        "http://{hub}",
        Wrong(
            PROMOTE,
            "http://{hub} is not a Model Registry",
            "Check MODEL_REGISTRY_URL: what it names answers with something else, maybe a web page or a login.",
            code=1,
        ),
    ),
}

REGISTER = {
    "an image without a digest": Wrong(
        ("register", "{registry}/a/b:v1", "--model", "m", "--url", "{model_registry}"),
        "{registry}/a/b:v1 names no digest",
        "Name registry/repository@sha256:…, as push prints it.",
    ),
    "an image that is not there": Wrong(
        ("register", "{registry}/a/b@{digest}", "--model", "m", "--url", "{model_registry}"),
        "{registry}/a/b@{digest} is not there",
        "Push it first, or check the digest.",
    ),
    "a storageUri": Wrong(
        ("register", "oci://{registry}/a/b@{digest}", "--model", "m", "--url", "{model_registry}"),
        "'oci://{registry}/a/b@{digest}' has a scheme in front of the image reference",
        "Write registry/repository:tag, without https:// or oci://.",
    ),
    "no Model Registry": Wrong(
        ("register", "{base_at}", "--model", "m"),
        "no Model Registry is named",
        "Set MODEL_REGISTRY_URL, for instance to https://registry.example.com.",
    ),
    "an address that is none": Wrong(
        ("register", "{base_at}", "--model", "m", "--url", "localhost"),
        "'localhost' is not the URL of a Model Registry",
        "Write http(s)://HOST[:PORT][/PATH], for instance https://registry.example.com.",
    ),
    "a model without a name": Wrong(
        ("register", "{base_at}", "--model", "", "--url", "{model_registry}"),
        "the registered model's name has 0 characters",
        "Give it 1 to 255.",
    ),
    "no model": Wrong(("register", "{base_at}"), "Missing option '--model'."),
}

PATCH = {
    "a file that is not there": Wrong(
        ("patch", "nothing.yaml", "--name", "demo-llama", *TO, "--write"),
        "nothing.yaml cannot be read: No such file or directory",
        "Name the manifest's file.",
    ),
    "a directory": Wrong(
        ("patch", ".", "--name", "demo-llama", *TO, "--write"),
        ". cannot be read: Is a directory",
        "Name the manifest's file.",
    ),
    "no such InferenceService": Wrong(
        ("patch", "chat.yaml", "--name", "other", *TO, "--write"),
        "the manifest has no InferenceService other; "
        "it has InferenceService demo-llama, PersistentVolumeClaim demo-llama-cache",
        "Check the name, the namespace and the path of the manifest.",
    ),
    "an InferenceService without storageUri": Wrong(
        ("patch", "bare.yaml", "--name", "bare", *TO, "--write"),
        "InferenceService bare has no spec.predictor.model.storageUri",
        "Add it once by hand, such as storageUri: oci://registry/repository@sha256:" + "0" * 64,
    ),
    "a tag in place of a digest": Wrong(
        ("patch", "chat.yaml", "--name", "demo-llama", "--storage-uri", "oci://registry.example/a:v1", "--write"),
        "storageUri 'oci://registry.example/a:v1' has no digest",
        STORAGE_URI,
    ),
    "oci:// forgotten": Wrong(
        ("patch", "chat.yaml", "--name", "demo-llama", "--storage-uri", "registry.example/a@{digest}", "--write"),
        "storageUri 'registry.example/a@{digest}' does not begin with oci://",
        STORAGE_URI,
    ),
    "another value than expected": Wrong(
        ("patch", "chat.yaml", "--name", "demo-llama", *TO, "--expect", "oci://registry.example/b@{digest}", "--write"),
        "storageUri of InferenceService demo-llama is oci://{registry}/models/demo-llama@sha256:" + "0" * 64 + ", "
        "not oci://registry.example/b@{digest} as expected",
        "Somebody changed it meanwhile; look at that change, then plan again.",
    ),
    "a label without a value": Wrong(
        ("patch", "chat.yaml", "--name", "demo-llama", *TO, "--label", "team", "--write"),
        "--label 'team' is not KEY=VALUE",
        "Write --label team=chat, for instance.",
    ),
    "a label that Kubernetes refuses": Wrong(
        ("patch", "chat.yaml", "--name", "demo-llama", *TO, "--label", "team=a b", "--write"),
        "'a b', for the label team, is not a label value",
        "Label values have up to 63 letters, digits, . _ - and begin and end with a letter or digit.",
    ),
}


@pytest.mark.parametrize(("change", "wrong"), SPECS.values(), ids=SPECS)
def test_a_spec_that_cannot_be_right_is_told_in_a_sentence(
    change: Callable[[str], str], wrong: Wrong, modelcar: Run, place: Fill, services: Services
) -> None:
    spec = Path("promotion.yaml")
    spec.write_text(change(spec.read_text()))

    wrong.check(modelcar, place, services, before=("checking ",))


@pytest.mark.parametrize("path", ["nothing.yaml", "."])
def test_a_spec_that_is_no_file_is_told_in_a_sentence(
    path: str, modelcar: Run, place: Fill, services: Services
) -> None:
    what = "is a directory" if path == "." else "no such file"

    Wrong(("promote", path), f"{path}: {what}", SPEC_FILE).check(modelcar, place, services)


@pytest.mark.parametrize(("address", "other", "wrong"), SERVERS.values(), ids=SERVERS)
def test_a_server_that_is_not_there_is_named(
    address: str, other: str, wrong: Wrong, modelcar: Run, place: Fill, services: Services
) -> None:
    spec = Path("promotion.yaml")
    spec.write_text(spec.read_text().replace(place(address), place(other)))

    wrong.check(modelcar, place, services, before=("checking ",))


def test_a_git_server_that_is_not_there_is_named(modelcar: Run, place: Fill) -> None:
    spec = Path("promotion.yaml")
    spec.write_text(spec.read_text().replace(place("{git}"), place("http://{closed}/x.git")))

    ran = modelcar(*PROMOTE)

    assert (ran.code, ran.stdout) == (1, "")
    sentence, hint = ran.stderr.splitlines()
    assert sentence.startswith(place("Error: http://{closed}/x.git cannot be reached ("))  # then git's own words
    assert sentence.count("x.git") == 1
    assert hint == "Check host, port and proxy."


@pytest.mark.parametrize("wrong", REGISTER.values(), ids=REGISTER)
def test_a_registration_that_cannot_be_right_is_told_in_a_sentence(
    wrong: Wrong, modelcar: Run, place: Fill, services: Services
) -> None:
    wrong.check(modelcar, place, services)


@pytest.mark.parametrize("wrong", PATCH.values(), ids=PATCH)
def test_a_patch_that_cannot_be_right_is_told_in_a_sentence(
    wrong: Wrong, modelcar: Run, place: Fill, services: Services
) -> None:
    Path("bare.yaml").write_text(
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: bare\nspec: {}\n"
    )

    wrong.check(modelcar, place, services)
