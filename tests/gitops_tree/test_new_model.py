"""`modelcar gitops new-model`: files that Argo CD and a promotion take, for every name that they can have."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from bare_machine import few_certificates, home
from cli.command import Run, modelcar
from gitops_tree.run import find_problems
from gitops_tree.tree import Tree
from modelcar.delivery.inference_service import is_placeholder
from modelcar.errors import InvalidInput
from modelcar.spec import parse_spec
from modelcar_gitops.served_model import LONGEST_NAME, ServedModel
from modelcar_gitops.tree import GitOpsTree, add_resource
from modelcar_sandbox.git_tree import copy_tree

__all__ = ["few_certificates", "home", "modelcar"]

ROOT = Path(__file__).parents[2]
STAGE = Path("gitops/stage01-model-serving")
SERVED, IMAGES = STAGE / "application/vllm", STAGE / "application/images"
THERE = {"MODEL_REGISTRY_URL": "https://registry.example", "MODELCAR_GIT_URL": "https://git.example/x.git"}
EXAMPLES = [
    ServedModel(
        "granite-3-3-2b-instruct",
        "hf://ibm-granite/granite-3.3-2b-instruct",
        "Granite 3.3 2B Instruct",
        "The full weights, in bfloat16",
        cpu=2,
        memory="16Gi",
        arguments=("--max-model-len=8192", "--dtype=bfloat16"),
    ),
    ServedModel(
        "mistral-small-24b-w4a16",
        "hf://RedHatAI/Mistral-Small-24B-Instruct-2501-quantized.w4a16",
        "Mistral Small 24B, quantized",
        "Weights of four bits, which fit one GPU of 24 GiB",
        arguments=("--max-model-len=8192", "--gpu-memory-utilization=0.92"),
    ),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the tree."""
    shutil.copytree(ROOT / "gitops", tmp_path / "tree/gitops")
    return tmp_path / "tree"


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.name)
def test_the_examples_of_the_tree_are_what_the_command_writes(model: ServedModel) -> None:
    path = SERVED / f"{model.name}.yaml"
    assert (ROOT / path).read_text() == model.inference_service()
    assert (ROOT / IMAGES / f"{model.name}.yaml").read_text() == model.image_stream()
    assert (ROOT / STAGE / f"promotions/{model.name}.yaml").read_text() == model.promotion(path.as_posix())


def test_a_new_model_is_three_files_and_two_lines(modelcar: Run, tree: Path) -> None:
    before = contents(tree)
    ran = modelcar("gitops", "new-model", "demo-llama", "--source", "hf://sandbox/demo-llama", "--tree", str(tree))
    after = contents(tree)

    made = [str(SERVED / "demo-llama.yaml"), str(IMAGES / "demo-llama.yaml"), str(STAGE / "promotions/demo-llama.yaml")]
    listed = [str(SERVED / "kustomization.yaml"), str(IMAGES / "kustomization.yaml")]
    assert (ran.code, ran.stdout.splitlines()) == (0, [*made, *listed])
    assert sorted(after.keys() - before.keys()) == sorted(made)
    for path in listed:
        assert after.pop(path) == before.pop(path) + "  - demo-llama.yaml\n"
    assert {path: text for path, text in after.items() if path not in made} == before


def test_images_that_go_to_another_registry_have_no_image_stream(modelcar: Run, tree: Path) -> None:
    before = contents(tree)
    words = ("demo-llama", "--source", "hf://sandbox/demo-llama", "--repository", "quay.io/team/demo")
    ran = modelcar("gitops", "new-model", *words, "--tree", str(tree))
    assert ran.code == 0
    made = {str(SERVED / "demo-llama.yaml"), str(STAGE / "promotions/demo-llama.yaml")}
    assert contents(tree).keys() - before.keys() == made
    service, _ = yaml.safe_load_all((tree / SERVED / "demo-llama.yaml").read_text())
    spec = parse_spec((tree / STAGE / "promotions/demo-llama.yaml").read_text(), name="spec", env=THERE)
    assert service["spec"]["predictor"]["model"]["storageUri"] == f"oci://quay.io/team/demo@sha256:{'0' * 64}"
    assert str(spec.image.repository) == "quay.io/team/demo"


def test_it_is_stopped_until_it_is_promoted_and_its_spec_leads_to_it() -> None:
    model = ServedModel("demo-llama", "hf://sandbox/demo-llama@v1", "Demo", "", gpus=2)
    service, claim = yaml.safe_load_all(model.inference_service())
    spec = parse_spec(model.promotion("served/demo-llama.yaml"), name="spec", env=THERE)

    assert service["metadata"]["annotations"]["serving.kserve.io/stop"] == "true"
    predictor = service["spec"]["predictor"]
    assert is_placeholder(predictor["model"]["storageUri"])
    assert predictor["model"]["storageUri"].startswith(f"oci://{spec.image.repository}@")
    assert predictor["model"]["args"] == ["--tensor-parallel-size=2"]
    assert predictor["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert (spec.inference_service.path, spec.inference_service.name) == ("served/demo-llama.yaml", "demo-llama")
    assert spec.model_registry.registered_model == "demo-llama"


def test_a_model_without_a_gpu_asks_for_none() -> None:
    service, _ = yaml.safe_load_all(
        ServedModel("demo", "hf://a/b", "Demo", "", cpu=1, memory="4Gi", gpus=0).inference_service()
    )
    assert service["spec"]["predictor"]["model"]["resources"] == {
        "requests": {"cpu": "1", "memory": "4Gi"},
        "limits": {"cpu": "2", "memory": "4Gi"},
    }
    assert "args" not in service["spec"]["predictor"]["model"]


@given(title=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])), argument=st.text("=-_.a0'\"{}[]#: "))
def test_whatever_people_write_reads_back(title: str, argument: str) -> None:
    if not title.isprintable():
        return
    model = ServedModel("demo", "hf://a/b", title, title, arguments=(f"--a{argument}",))
    service, _ = yaml.safe_load_all(model.inference_service())
    assert service["metadata"]["annotations"]["openshift.io/display-name"] == title
    assert service["spec"]["predictor"]["model"]["args"] == [f"--a{argument}"]
    assert yaml.safe_load(model.image_stream())["metadata"]["annotations"]["openshift.io/display-name"] == title


@pytest.mark.parametrize("name", ["a", "granite-3-3-2b", "x" * LONGEST_NAME, "a--b", "null", "y", "true"])
def test_ordinary_and_odd_names_are_taken(tree: Path, name: str) -> None:
    GitOpsTree(tree).add(ServedModel(name, "hf://a/b", name, ""))
    service, claim = yaml.safe_load_all((tree / SERVED / f"{name}.yaml").read_text())
    spec = parse_spec((tree / STAGE / f"promotions/{name}.yaml").read_text(), name="spec", env=THERE)
    assert service["metadata"]["name"] == name
    assert claim["metadata"]["name"] == f"{name}-cache"
    assert spec.inference_service.name == name
    assert f"{name}.yaml" in yaml.safe_load((tree / SERVED / "kustomization.yaml").read_text())["resources"]


@pytest.mark.parametrize(
    "model",
    [
        ServedModel("demo", "hf://a/b", "Demo", "", gpus=0),
        ServedModel("null", "hf://a/b", "Null", ""),
        ServedModel("x" * LONGEST_NAME, "hf://a/b@v1", "As long as can be", ""),
        ServedModel("demo", "hf://a/b", "Elsewhere", "", repository="quay.io/team/demo"),
    ],
    ids=lambda model: model.title,
)
def test_the_checks_pass_with_one_model_more(model: ServedModel, tmp_path: Path) -> None:
    copy_tree(tmp_path)
    GitOpsTree(tmp_path).add(model)
    assert find_problems(Tree.load(tmp_path)) == {}


def test_a_model_that_the_quota_has_no_room_for_is_found(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    GitOpsTree(tmp_path).add(ServedModel("demo", "hf://a/b", "Large", "", gpus=4))
    sentence = "requests.nvidia.com/gpu is 4, and 10 may be asked for at once"
    assert find_problems(Tree.load(tmp_path)) == {20: [f"ResourceQuota private-ai-demo/private-ai-demo: {sentence}"]}


BAD = {
    "": "'' cannot be the name of an InferenceService",
    "Granite": "'Granite' cannot be the name of an InferenceService",
    "granite_3": "'granite_3' cannot be the name of an InferenceService",
    "granite-3.3": "'granite-3.3' cannot be the name of an InferenceService",
    "3b": "'3b' cannot be the name of an InferenceService",
    "-a": "'-a' cannot be the name of an InferenceService",
    "a-": "'a-' cannot be the name of an InferenceService",
    "a/b": "'a/b' cannot be the name of an InferenceService",
    "..": "'..' cannot be the name of an InferenceService",
    "é": "'é' cannot be the name of an InferenceService",
    "a\n": "'a\\n' cannot be the name of an InferenceService",
    "x" * 54: f"'{'x' * 54}' has 54 letters; KServe adds an ending, which leaves 53",
}


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_something_cannot_have_is_refused_with_the_reason(modelcar: Run, tree: Path, name: str) -> None:
    before = contents(tree)
    ran = modelcar("gitops", "new-model", "--source", "hf://a/b", "--tree", str(tree), "--", name)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"Error: {BAD[name]}\n")
    assert contents(tree) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("granite-3-3-2b-instruct", "--source", "hf://a/b"), "granite-3-3-2b-instruct.yaml is there already"),
        (("kustomization", "--source", "hf://a/b"), "kustomization.yaml is there already"),
        (("demo", "--source", "gs://a/b"), "'gs://a/b' is not the address of a model"),
        (("demo", "--source", "hf://a/b/c"), "hf://a/b/c"),
        (("demo", "--source", "hf://a/b", "--memory", "lots"), "'lots' is no size of memory"),
        (("demo", "--source", "hf://a/b", "--cpu", "0"), "a model needs a core"),
        (("demo", "--source", "hf://a/b", "--gpus", "-1"), "a model needs a core, and no less than no GPU"),
        (("demo", "--source", "hf://a/b", "--repository", "quay.io/a/b:latest"), "'quay.io/a/b:latest' has a tag"),
        (("demo", "--source", "hf://a/b", "--repository", "demo"), "does not name its registry"),
        (("modelcar-python", "--source", "hf://a/b"), "the tree has ImageStream modelcar-python already"),
        (("modelcar-workbench", "--source", "hf://a/b"), "the tree has ImageStream modelcar-workbench already"),
        (("demo", "--source", "hf://a/b", "--arg", "--port=9"), "'--port=9' is an argument that the ServingRuntime"),
        (("demo", "--source", "hf://a/b", "--arg", "--tensor_parallel_size=4"), "gives, or --gpus"),
        (("demo", "--source", "hf://a/b", "--arg", "max"), "'max' is no argument of vLLM"),
        (("demo", "--source", "hf://a/b", "--title", "a\nb"), "'a\\nb' has a character that is not printable"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_written(
    modelcar: Run, tree: Path, words: tuple[str, ...], message: str
) -> None:
    before = contents(tree)
    ran = modelcar("gitops", "new-model", *words, "--tree", str(tree))
    assert (ran.code, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert contents(tree) == before


def test_a_directory_without_the_tree_is_told(modelcar: Run, tmp_path: Path) -> None:
    ran = modelcar("gitops", "new-model", "demo", "--source", "hf://a/b", "--tree", str(tmp_path))
    assert ran.code == 2
    assert f"{tmp_path} has no gitops/stage01-model-serving/application/vllm/kustomization.yaml" in ran.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("resources:\n- a.yaml\n", "resources:\n- a.yaml\n- b.yaml\n"),
        (
            "resources:\n  - a.yaml # first\n\nlabels: []\n",
            "resources:\n  - a.yaml # first\n  - b.yaml\n\nlabels: []\n",
        ),
        (
            "resources: # these\n  # and\n  - a\n  - c\nx: 1\n",
            "resources: # these\n  # and\n  - a\n  - c\n  - b.yaml\nx: 1\n",
        ),
        ("resources:\r\n- a.yaml\r\n", "resources:\r\n- a.yaml\r\n- b.yaml\r\n"),
    ],
    ids=["flush", "indented", "comments", "Windows"],
)
def test_a_list_of_resources_gets_a_line_and_keeps_the_rest(before: str, after: str) -> None:
    assert add_resource(before, "b.yaml") == after


@pytest.mark.parametrize("text", ["resources: [a.yaml]\n", "resources: []\n", "labels: []\n", ""])
def test_a_kustomization_without_such_a_list_is_told(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"the kustomization has no list of resources to add b\.yaml to"):
        add_resource(text, "b.yaml")
