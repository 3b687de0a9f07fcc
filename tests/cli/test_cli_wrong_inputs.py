"""What a first user gets wrong in `push` and `plan`: each gets one clear sentence and the way out."""

from __future__ import annotations

import pytest

from cli.command import Fill, Run, Services, Wrong
from modelcar.image.packing import SMALLER_SHARDS

TO = "{registry}/wrong/input:v1"
SCRATCH = ("--base-image", "scratch")
MODEL = "file://{root}/model"
HF_OR_FILE = (
    "Write hf://org/name for a model on a Hub, s3://bucket/prefix for a bucket, or file:///dir for a directory."
)
LOG_IN = "Log in with podman login or docker login, or name the file with --authfile"
REFERENCE = "Write registry/repository:tag, for instance quay.io/team/model:latest."
TAG = "A tag has up to 128 letters, digits, _ . - and does not begin with . or -."
CONVERT = (
    "Convert the weights to safetensors, leave the files out (ignore), or name them with --allow-pickle "
    "(allowPickle in a spec) if you trust who made them."
)
CA_FILES = (
    "--ca-file, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE name a file of PEM certificates or a directory "
    "of them."
)
NETWORK = "Check the registry's name and the network."
CHECK_NAME = "Check the name; if the model is private, set HF_TOKEN to a token that may read it."


def push(source: str, destination: str, *options: str) -> tuple[str, ...]:
    return ("push", source, destination, *SCRATCH, *options)


SOURCES = {
    "no such repository on the Hub": Wrong(
        push("hf://acme/nothing", TO), "{hub} has no model acme/nothing, or it is private", CHECK_NAME
    ),
    "a private repository": Wrong(
        push("hf://acme/private", TO), "{hub} has no model acme/private, or it is private", CHECK_NAME
    ),
    "a gated repository": Wrong(
        push("hf://acme/gated", TO),
        "the model acme/gated on {hub} is gated, and there is no token",
        "Accept its terms on its page, and set HF_TOKEN to a token of that account.",
    ),
    "no such revision": Wrong(
        push("hf://sandbox/demo-llama@v9", TO),
        "the model sandbox/demo-llama has no revision 'v9'",
        "Name a branch, a tag or a commit of the model.",
    ),
    "two revisions": Wrong(
        push("hf://sandbox/demo-llama@v9", TO, "--revision", "main"),
        "'hf://sandbox/demo-llama@v9' names a revision, and so does revision 'main'",
        "Keep one of them.",
    ),
    "a revision of a directory": Wrong(
        push(MODEL, TO, "--revision", "main"),
        "'file://{root}/model' is a directory and has no revisions",
        "Leave 'main' out.",
    ),
    "patterns that leave nothing": Wrong(
        push("hf://sandbox/demo-llama", TO, "--allow", "*.gguf"),
        "no file of hf://sandbox/demo-llama is left after allow *.gguf",
        "Look at --allow and --ignore, or allow and ignore of the spec.",
    ),
    "no such directory": Wrong(
        push("file:///no/such/dir", TO),
        "there is no directory file:///no/such/dir",
        "It must be there where this runs: this machine, or this pod.",
    ),
    "a file in place of a directory": Wrong(
        push("file://{root}/model/config.json", TO),
        "file://{root}/model/config.json is not a directory",
        "Name the directory that holds the file.",
    ),
    "an empty directory": Wrong(
        push("file://{root}/empty", TO),
        "file://{root}/empty has no files",
        "Name the directory or repository that holds the model.",
    ),
    "a relative path behind file://": Wrong(
        push("file://model", TO),
        "'file://model' does not name a directory by its absolute path",
        "Write file://{work}/model.",
    ),
    "a relative path": Wrong(
        push("./model", TO), "'./model' is not the address of a model", "Write file://{work}/model for that directory."
    ),
    "an absolute path": Wrong(
        push("/models/llama", TO),
        "'/models/llama' is not the address of a model",
        "Write file:///models/llama for a directory.",
    ),
    "a path in the home directory": Wrong(
        push("~/llama", TO), "'~/llama' is not the address of a model", "Write file://{home}/llama for that directory."
    ),
    "hf:// forgotten": Wrong(
        push("acme/llama", TO),
        "'acme/llama' is not the address of a model",
        "Write hf://acme/llama for a model on a Hub, or file:// and an absolute path for a directory.",
    ),
    "the address of the model's web page": Wrong(
        push("https://huggingface.co/acme/llama/tree/main", TO),
        "'https://huggingface.co/acme/llama/tree/main' is not the address of a model",
        "Write hf://acme/llama.",
    ),
    "an unknown scheme": Wrong(
        push("ftp://acme/llama", TO), "'ftp://acme/llama' is not the address of a model", HF_OR_FILE
    ),
    "a data set": Wrong(
        push("hf://datasets/acme/chat", TO),
        "'hf://datasets/acme/chat' names one of the Hub's datasets",
        "Only models can be served: hf://org/name.",
    ),
    "a directory with nothing but pickles": Wrong(
        push("file://{root}/pickles", TO),
        "file://{root}/pickles has pickle files, which can run any code when loaded, and no safetensors: "
        "pytorch_model.bin",
        CONVERT,
    ),
    "a repository with nothing but pickles": Wrong(
        push("hf://acme/pickles", TO),
        "hf://acme/pickles has pickle files, which can run any code when loaded, and no safetensors: pytorch_model.bin",
        CONVERT,
    ),
}

DESTINATIONS = {
    "no registry": Wrong(
        push(MODEL, "team/model:v1"), "image reference 'team/model:v1' does not name its registry", REFERENCE
    ),
    "https:// in front": Wrong(
        push(MODEL, "https://{registry}/a/b:v1"),
        "'https://{registry}/a/b:v1' has a scheme in front of the image reference",
        "Write registry/repository:tag, without https:// or oci://.",
    ),
    "upper case": Wrong(
        push(MODEL, "{registry}/Team/Model:v1"),
        "'Team/Model' in image reference '{registry}/Team/Model:v1' is not a repository name",
        "Repository names are lower-case letters, digits and . _ - between /.",
    ),
    "a bad tag": Wrong(
        push(MODEL, "{registry}/team/model:-v1"),
        "'-v1' in image reference '{registry}/team/model:-v1' is not a tag",
        TAG,
    ),
    "no tag behind the colon": Wrong(
        push(MODEL, "{registry}/team/model:"), "'' in image reference '{registry}/team/model:' is not a tag", TAG
    ),
    "a digest": Wrong(
        push(MODEL, "{registry}/team/model@{digest}"),
        "destination '{registry}/team/model@{digest}' names a digest",
        "Name a tag, or nothing; the push tells the digest.",
    ),
    "a layout without a directory": Wrong(
        push(MODEL, "oci-layout:"),
        "'oci-layout:' is not an OCI layout",
        "Write oci-layout:DIRECTORY or oci-layout:DIRECTORY:TAG.",
    ),
    "a layout in a file": Wrong(
        push(MODEL, "oci-layout:{root}/model/config.json"),
        "{root}/model/config.json is not a directory",
        "Name an empty or a new directory.",
    ),
    "a layout among other files": Wrong(
        push(MODEL, "oci-layout:{root}/model"),
        "{root}/model has files in it and is not an OCI layout",
        "Name an empty or a new directory.",
    ),
    "no credentials": Wrong(
        push(MODEL, "{guarded}/a/b:v1"),
        "{guarded}: its token server refused access without credentials (HTTP 401)",
        f"{LOG_IN}.",
    ),
    "wrong credentials": Wrong(
        push(MODEL, "{guarded}/a/b:v1", "--authfile", "{root}/auth-robot.json"),
        "{guarded}: its token server refused access as robot (from {root}/auth-robot.json) (HTTP 401)",
        f"{LOG_IN}.",
    ),
    "credentials that may only pull": Wrong(
        push(MODEL, "{guarded}/a/b:v1", "--authfile", "{root}/auth-reader.json"),
        "{guarded} refused to push to a/b as reader (from {root}/auth-reader.json) "
        "(HTTP 401 UNAUTHORIZED, the token's scope is too small)",
        f"{LOG_IN}; the account needs the right to push.",
    ),
    "an auth file that is not there": Wrong(
        push(MODEL, TO, "--authfile", "{root}/nothing.json"),
        "auth file {root}/nothing.json is not there",
        "Log in with podman or docker, or name another.",
    ),
    "a directory as auth file": Wrong(
        push(MODEL, TO, "--authfile", "{root}"),
        "auth file {root} is no file",
        "Log in with podman or docker, or name another.",
    ),
    "a broken auth file": Wrong(
        push(MODEL, TO, "--authfile", "{root}/broken.json"),
        "{root}/broken.json cannot be read as a docker or podman auth file: it is not JSON of that form",
        "Log in again with podman login or docker login, or name another with --authfile.",
    ),
    "a registry that does not listen": Wrong(
        push(MODEL, "{closed}/a/b:v1"), "{closed} did not answer: Connection refused", NETWORK, code=1
    ),
    "the Hub in place of the registry": Wrong(
        push(MODEL, "{hub}/a/b:v1"),
        "{hub}: push to a/b: HTTP 404",
        "{hub} may be no OCI registry; check host, port and repository.",
    ),
    "a CA file that is not there": Wrong(
        push(MODEL, TO, "--ca-file", "{root}/nothing.pem"),
        "{root}/nothing.pem cannot be read as PEM certificates: No such file or directory",
        CA_FILES,
    ),
    "a CA file that is no PEM": Wrong(
        push(MODEL, TO, "--ca-file", "{root}/model/config.json"),
        "{root}/model/config.json cannot be read as PEM certificates: there is none in it",
        CA_FILES,
    ),
}

OPTIONS = {
    "no such base image": Wrong(
        ("push", MODEL, TO, "--base-image", "{registry}/no/base:1"),
        "base image {registry}/no/base:1 is not there",
        "Name another with --base-image (baseImage in a spec, or MODELCAR_BASE_IMAGE), or scratch.",
    ),
    "a base image without its registry": Wrong(
        ("push", MODEL, TO, "--base-image", "ubi9"), "image reference 'ubi9' does not name its registry", REFERENCE
    ),
    "a base image of another platform": Wrong(
        ("push", MODEL, TO, "--base-image", "{base}", "--platform", "linux/arm64"),
        "base image {base} is for linux/amd64, not for linux/arm64",
        "Name a base image of that platform, or another --platform.",
    ),
    "half a platform": Wrong(
        push(MODEL, TO, "--platform", "amd64"),
        "'amd64' is not a platform",
        "Write os/architecture, for instance linux/amd64.",
    ),
    "the kernel's name of a platform": Wrong(
        push(MODEL, TO, "--platform", "linux/x86_64"), "'linux/x86_64' is not a platform", "Write linux/amd64."
    ),
    "nothing at once": Wrong(
        push(MODEL, TO, "--concurrency", "0"), "Invalid value for '--concurrency': 0 is not in the range 1<=x<=32."
    ),
    "an unknown option": Wrong(push(MODEL, TO, "--jsno"), "No such option '--jsno'. Did you mean '--json'?"),
    "no destination": Wrong(("push", MODEL), "Missing argument 'DESTINATION'."),
    "an unknown command": Wrong(("pusch",), "No such command 'pusch'. (Did you mean one of: 'patch', 'push'?)"),
    "a plan of three things": Wrong(("plan", "a", "b", "c"), "plan takes one SPEC, or SOURCE and DESTINATION."),
    "a plan of a source to nowhere": Wrong(
        ("plan", "hf://sandbox/demo-llama"), "plan of a SOURCE takes a DESTINATION, too."
    ),
    "a plan of no source": Wrong(
        ("plan", "hf://acme/nothing", TO), "{hub} has no model acme/nothing, or it is private", CHECK_NAME
    ),
    "a plan for a manifest that is not there": Wrong(
        ("plan", MODEL, TO, "--manifest", "nothing.yaml"),
        "nothing.yaml is not a file",
        "Name the file with the InferenceService.",
    ),
    "a plan for a GPU of no size": Wrong(
        ("plan", MODEL, TO, "--gpu-memory", "large"),
        "'large' is not a size",
        "Write 20GiB, 512MiB or a number of bytes.",
    ),
    "a plan at no rate": Wrong(
        ("plan", MODEL, TO, "--rate", "0/s"), "'0' is not a size", "Write 20GiB, 512MiB or a number of bytes."
    ),
    "layers of no size": Wrong(
        push(MODEL, TO, "--max-layer-size", "10 apples"),
        "'10 apples' is not a size",
        "Write 20GiB, 512MiB or a number of bytes.",
    ),
    "layers that are too small for a file": Wrong(
        push(MODEL, TO, "--max-layer-size", "3KiB"),
        "model.safetensors.index.json makes a layer of 5120 bytes, and 3072 are allowed; a file cannot be split over "
        "layers",
        SMALLER_SHARDS,
    ),
    "a plan of no spec": Wrong(
        ("plan", "nothing.yaml"), "nothing.yaml: no such file", "Name the PromotionSpec's file."
    ),
}


@pytest.mark.parametrize("wrong", SOURCES.values(), ids=SOURCES)
def test_a_source_that_cannot_be_right_is_told_in_a_sentence(
    wrong: Wrong, modelcar: Run, place: Fill, services: Services
) -> None:
    wrong.check(modelcar, place, services)


@pytest.mark.parametrize("wrong", DESTINATIONS.values(), ids=DESTINATIONS)
def test_a_destination_that_cannot_be_right_is_told_in_a_sentence(
    wrong: Wrong, modelcar: Run, place: Fill, services: Services
) -> None:
    wrong.check(modelcar, place, services)


@pytest.mark.parametrize("wrong", OPTIONS.values(), ids=OPTIONS)
def test_an_option_that_cannot_be_right_is_told_in_a_sentence(
    wrong: Wrong, modelcar: Run, place: Fill, services: Services
) -> None:
    wrong.check(modelcar, place, services)


def test_a_host_that_does_not_exist_is_named(modelcar: Run, place: Fill) -> None:
    ran = modelcar(*push(place(MODEL), "registry.invalid/a/b:v1"))

    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: registry.invalid did not answer: ")  # the rest are the resolver's words
    assert ran.stderr.endswith(f"\n{NETWORK}\n")


def test_a_hub_that_does_not_listen_is_named(
    modelcar: Run, place: Fill, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", place("http://{closed}"))

    Wrong(
        push("hf://acme/llama", TO),
        "{closed} cannot be reached: Connection refused",
        "Check the network, and HF_ENDPOINT if you use a mirror.",
        code=1,
    ).check(modelcar, place, services)


@pytest.mark.parametrize("destination", [TO, "oci-layout:{work}/layout:v1"])
def test_broken_weights_leave_no_image(destination: str, modelcar: Run, place: Fill, services: Services) -> None:
    before = services.state()

    # One at a time: a sound shard that is finished before would be noted in the journal.
    ran = modelcar(*map(place, push("file://{root}/corrupt", destination, "--concurrency", "1")))

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-2:] == [
        "Error: model-00001-of-00002.safetensors is not a sound safetensors file: "
        "its header claims 8029423821061908540 bytes",
        "Publish the file again; a download that broke off looks like this, too.",
    ]
    assert services.state() == before
    assert not list(services.sandbox.directory.glob("**/layout/index.json"))


def test_a_shard_that_the_index_names_and_nobody_has_leaves_no_image(
    modelcar: Run, place: Fill, services: Services
) -> None:
    Wrong(
        push("file://{root}/shardless", TO, "--concurrency", "1"),
        "model.safetensors.index.json needs 'model-00001-of-00002.safetensors', which is not there",
        "Take all shards of the model, or leave the index out (ignore).",
    ).check(modelcar, place, services, before=("pushed ", "reused "))
