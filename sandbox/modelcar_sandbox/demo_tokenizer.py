"""The demo model's tokenizer: byte-level BPE, so that every text goes in and comes out again.

Its merges spell a fixed list of words letter by letter; nothing is trained, so nothing can come out differently.

Source: https://huggingface.co/docs/tokenizers/api/models#tokenizers.models.BPE (the model),
https://github.com/openai/gpt-2/blob/master/src/encoder.py (how bytes become printable characters).
"""

from __future__ import annotations

BEGIN = "<|begin_of_text|>"
END = "<|end_of_text|>"
PAD = "<|pad|>"
HEADER_START = "<|start_header_id|>"
HEADER_END = "<|end_header_id|>"
END_OF_TURN = "<|eot_id|>"
SPECIAL_TOKENS = (BEGIN, END, PAD, HEADER_START, HEADER_END, END_OF_TURN)
VOCABULARY_SIZE = 384
LONGEST_TEXT = 1024  # tokens

# The tokens that are left after the special ones and the bytes spell these; a word begins with its blank.
_WORDS = (
    "the of and to in is that it for was on are as with his they at be this from have or by one had not but what all"
    " were when we there can an your which their said if do will each about how up out them then she many some so"
    " model hello world image layer digest promote serve registry commit"
)

_CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def tokenizer() -> dict[str, object]:
    """Content of `tokenizer.json`."""
    merges = _merges(VOCABULARY_SIZE - len(SPECIAL_TOKENS) - 256)
    tokens = [*SPECIAL_TOKENS, *_byte_characters(), *(left + right for left, right in merges)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(index, token) for index, token in enumerate(SPECIAL_TOKENS)],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_special(BEGIN), {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [_special(BEGIN), {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {BEGIN: {"id": BEGIN, "ids": [0], "tokens": [BEGIN]}},
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [list(merge) for merge in merges],
        },
    }


def tokenizer_config() -> dict[str, object]:
    """Content of `tokenizer_config.json`, with the chat template."""
    return {
        "added_tokens_decoder": {
            str(index): {key: value for key, value in _added_token(index, token).items() if key != "id"}
            for index, token in enumerate(SPECIAL_TOKENS)
        },
        "bos_token": BEGIN,
        "chat_template": _CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TURN,
        "model_max_length": LONGEST_TEXT,
        "pad_token": PAD,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def special_tokens_map() -> dict[str, object]:
    """Content of `special_tokens_map.json`."""
    return {"bos_token": BEGIN, "eos_token": END_OF_TURN, "pad_token": PAD}


def _byte_characters() -> list[str]:
    """One printable character for each byte, in the order of the bytes."""
    plain = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)}
    others = iter(range(256))
    return [chr(byte) if byte in plain else chr(256 + next(others)) for byte in range(256)]


def _merges(count: int) -> list[tuple[str, str]]:
    """The first `count` pairs that spell the words from left to right; each pair's parts are tokens by then."""
    blank = _byte_characters()[ord(" ")]
    merges: dict[tuple[str, str], None] = {}
    for word in _WORDS.split():
        token = blank
        for letter in word:
            merges[token, letter] = None
            token += letter
    return list(merges)[:count]


def _added_token(index: int, token: str) -> dict[str, object]:
    return {
        "id": index,
        "content": token,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _special(token: str) -> dict[str, object]:
    return {"SpecialToken": {"id": token, "type_id": 0}}
