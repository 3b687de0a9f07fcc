from __future__ import annotations

from pathlib import Path

import pytest

from modelcar_sandbox.demo_model import write_demo_model

pytestmark = [
    pytest.mark.heavy,
    # Libraries of this size warn about one another; that is not what is tested here.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("torch", "transformers"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    directory = tmp_path_factory.mktemp("model")
    write_demo_model(directory)
    return directory


def test_transformers_finds_every_tensor_that_it_expects_and_no_other(model: Path) -> None:
    from transformers import AutoModelForCausalLM

    _, loading = AutoModelForCausalLM.from_pretrained(model, output_loading_info=True)
    assert {key: list(names) for key, names in loading.items() if names} == {}


def test_the_tokenizer_gives_a_text_back(model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer("hello wörld 😀")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "hello wörld 😀"


def test_the_chat_template_ends_where_the_answer_begins(model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    chat = [{"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_the_model_generates_five_tokens(model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    question = tokenizer("hello", return_tensors="pt")
    answer = AutoModelForCausalLM.from_pretrained(model).generate(
        **question, max_new_tokens=5, min_new_tokens=5, do_sample=False
    )
    assert answer.shape[1] - question["input_ids"].shape[1] == 5
