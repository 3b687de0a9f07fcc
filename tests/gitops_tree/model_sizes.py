"""How large the example models are: rounded up, from the parameters that their names and pages state."""

from __future__ import annotations

from typing import Final

SIZES_BYTES: Final = {
    "hf://ibm-granite/granite-3.3-2b-instruct": 5_400_000_000,  # 2.6 billion of two bytes
    "hf://RedHatAI/Mistral-Small-24B-Instruct-2501-quantized.w4a16": 15_500_000_000,  # 24 billion of half a byte,
    # with their scales, and the embeddings, which are of two bytes
}
"""Of all files of the model."""
