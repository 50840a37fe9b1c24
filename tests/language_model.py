"""A language model in a folder of transformers, small and untrained."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch


def small_language_model(folder: Path, words: Sequence[str], chat: bool = True) -> Path:
    """Write a Llama that knows these words; skips the test where transformers is missing."""
    transformers = pytest.importorskip("transformers", reason="needs nonesuch[llm]")
    tokenizers = pytest.importorskip("tokenizers")
    known = {word: number for number, word in enumerate(["<unk>", "</s>", *words])}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(known, unk_token="<unk>"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>", eos_token="</s>")
    if chat:
        tokenizer.chat_template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    network = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=len(known), **size))
    for part in (tokenizer, network):
        part.save_pretrained(folder)
    return folder
