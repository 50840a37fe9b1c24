"""A language model behind an OpenAI-compatible address, as llama.cpp, vLLM and Ollama have it."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from nonesuch.core.errors import NonesuchError

KEY = "NONESUCH_LLM_KEY"  # environment variable with the key of an endpoint that wants one
ASK = (
    "You rewrite sentences that describe a face. Answer with one plain sentence that says exactly what the given "
    "sentence says. Add nothing, leave nothing out, and keep he, she or they as it is."
)
_MOST_BYTES = 1 << 20  # of an answer
MOST_TOKENS = 80
TEMPERATURE = 0.7


class NoAnswerError(Exception):
    """The endpoint did not answer with a text; the message says why."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked.

    Attributes:
        place: the address that /chat/completions is below, such as http://localhost:8080/v1.
        name: the model's, as the endpoint knows it; "" for the only one that is there.
        seconds: to wait for an answer.
    """

    place: str
    name: str
    seconds: float

    def check(self) -> None:
        """Ask for the models that are there; raises NonesuchError where nobody answers."""
        try:
            self._get(f"{self.place.rstrip('/')}/models", None)
        except NoAnswerError as error:
            raise NonesuchError(
                f"--rewrite {self.place}: {error}; start the server, and give the address that ends before "
                "/chat/completions"
            ) from error

    def rewrite(self, sentence: str, seed: int) -> str:
        """The same in other words; raises NoAnswerError."""
        content: dict[str, Any] = {
            "messages": [{"role": "system", "content": ASK}, {"role": "user", "content": sentence}],
            "temperature": TEMPERATURE,
            "max_tokens": MOST_TOKENS,
            "seed": seed,
        }
        if self.name:
            content["model"] = self.name
        answer = self._get(f"{self.place.rstrip('/')}/chat/completions", content)
        try:
            text = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise NoAnswerError("its answer is not that of /chat/completions") from error
        if not isinstance(text, str):
            raise NoAnswerError("it answered without a text")
        return text

    def _get(self, address: str, content: dict[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        try:
            if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
                raise NoAnswerError("not an address that begins with http:// or https://")
            data = None if content is None else json.dumps(content).encode()
            request = urllib.request.Request(address, data, headers)
            with urllib.request.urlopen(request, timeout=self.seconds) as answer:
                return json.loads(answer.read(_MOST_BYTES))
        except urllib.error.HTTPError as error:
            raise NoAnswerError(f"it answered {error.code} {error.reason}") from error
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "reason", error)
            raise NoAnswerError(f"no answer ({reason})") from error
