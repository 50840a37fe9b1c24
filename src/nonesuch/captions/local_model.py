"""A language model in a folder of transformers, asked as one behind an address is. Needs `nonesuch[llm]`."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from nonesuch.captions.endpoint import ASK, MOST_TOKENS, TEMPERATURE, NoAnswerError
from nonesuch.core.devices import pick_device
from nonesuch.core.errors import NonesuchError


class LocalModel:
    """A causal language model from safetensors; no code of the folder is run.

    Attributes:
        place: the folder.
        name: its last part.
        option: that named it, for errors.
    """

    def __init__(self, folder: Path, device: str = "auto", option: str = "--rewrite") -> None:
        self.place, self.name, self.option = str(folder), folder.resolve().name, option
        self._device = pick_device(device)

    def load(self) -> "LocalModel":
        """Load it now; raises NonesuchError where it cannot be loaded."""
        _ = self._loaded
        return self

    def check(self) -> None:
        """Load it; raises NonesuchError where it cannot be loaded, or has no chat template."""
        if not getattr(self._loaded[0], "chat_template", None):
            raise NonesuchError(
                f"{self.option} {self.place}: has no chat template; take a model that follows instructions"
            )

    def rewrite(self, sentence: str, seed: int) -> str:
        """The same in other words, with draws of its own seed; raises NoAnswerError."""
        tokenizer, network = self._loaded
        asked = [{"role": "system", "content": ASK}, {"role": "user", "content": sentence}]
        try:
            told = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
            tokens = tokenizer(told, return_tensors="pt", add_special_tokens=False).to(self._device)
            with torch.random.fork_rng(), torch.inference_mode():  # generate() draws from the global generator
                torch.manual_seed(seed)
                found = network.generate(
                    **tokens, max_new_tokens=MOST_TOKENS, do_sample=True, temperature=TEMPERATURE, top_k=0
                )
            return str(tokenizer.decode(found[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True))
        except Exception as error:  # whatever the template or the model does, the grammar's sentence stays
            raise NoAnswerError(f"no answer ({error})") from error

    def nats(self, text: str) -> float:
        """How improbable a text is: minus the natural logarithm of its likelihood, summed over its tokens."""
        tokenizer, network = self._loaded
        begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        if begin is None:
            raise NonesuchError(f"{self.option} {self.place}: its tokenizer has no token that begins or ends a text")
        ids = torch.tensor([[begin, *tokens]], device=self._device)
        with torch.inference_mode():
            chances = network(ids).logits[0, :-1].float().log_softmax(-1)
        return -float(chances.gather(1, ids[0, 1:, None]).sum())

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise NonesuchError(
                f'{self.option} {self.place}: a folder needs transformers: pip install "nonesuch[llm]"'
            ) from error
        logging.disable_progress_bar()
        known = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.place, **known)
            network = AutoModelForCausalLM.from_pretrained(self.place, use_safetensors=True, **known)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise NonesuchError(f"{self.option} {self.place}: no language model of transformers ({error})") from error
        return tokenizer, network.to(self._device).eval()
