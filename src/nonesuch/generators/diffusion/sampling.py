"""How a latent diffusion draws its latents: which sampler, how many steps, which guidance."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import Cosine
from nonesuch.generators.diffusion.lcm import MOST_STEPS
from nonesuch.generators.diffusion.schedule import TIMES

SamplerName = Literal["ddpm", "ddpm-posterior", "ddim", "dpm", "lcm"]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)
_EXAMPLE = "such as 'ddim,steps=50,guidance=2'"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How latents are sampled. The defaults are few steps that decide an image by its first noise alone.

    Attributes:
        sampler: "ddpm" (variance beta, as published), "ddpm-posterior", "ddim", "dpm" (DPM-Solver++ 2M), or "lcm" (for
            weights distilled for it, at most 50 steps).
        steps: times visited.
        eta: DDIM's share of fresh noise.
        guidance: 1 for none; above it, noise predictions are driven away from those without an identity
            (arXiv 2207.12598).
        negative: 0 for none; otherwise they are driven, with this weight, away from those of another identity of the
            same dataset (NegFaceDiff: 0.5).
        least_cosine: each image's context lies at a cosine drawn from [this, 1] to its identity (IDperturb: 0.6); 1 for
            the identity itself.

    Raises:
        NonesuchError: settings that do not go together.
    """

    sampler: SamplerName = "ddim"
    steps: Annotated[int, Meta(ge=1, le=TIMES)] = 25
    eta: Annotated[float, Meta(ge=0, le=1)] = 0.0
    guidance: Annotated[float, Meta(ge=0, le=20)] = 1.0
    negative: Annotated[float, Meta(ge=0, le=20)] = 0.0
    least_cosine: Cosine = 1.0

    def __post_init__(self) -> None:
        if self.eta and self.sampler != "ddim":
            raise NonesuchError(f"eta is a setting of ddim, not of {self.sampler}; leave it out")
        if self.sampler == "lcm" and self.steps > MOST_STEPS:
            raise NonesuchError(f"lcm takes at most {MOST_STEPS} steps, and 2 to 4 do; give steps=4")
        if self.negative and self.guidance != 1.0:
            raise NonesuchError("negative and guidance both drive predictions away from something; give one of them")

    def __str__(self) -> str:
        """As `parse_sampling` reads it."""
        rest = {name: value for name, value in asdict(self).items() if name != "sampler"}
        return ",".join([self.sampler, *(f"{name}={value:g}" for name, value in rest.items())])


def read_sampling(content: dict[str, Any], where: str) -> Sampling:
    """Settings from what a card holds; raises NonesuchError, beginning with `where`, if they are none."""
    try:
        return files.typed(content, Sampling, where)
    except NonesuchError as error:
        raise error if str(error).startswith(where) else NonesuchError(f"{where}: {error}") from error


def parse_sampling(text: str, usual: Sampling) -> Sampling:
    """Settings from words such as "ddim,steps=50,guidance=2": a sampler, settings of it, or both.

    Args:
        text: what is not named keeps its usual value; another sampler has no eta.
        usual: the usual values.

    Raises:
        NonesuchError: unknown words, or values out of their range.
    """
    where, content = f"--sampler {text}", asdict(usual)
    for place, word in enumerate(text.split(",")):
        name, equals, value = word.strip().partition("=")
        if not equals and place == 0:
            if name not in SAMPLERS:
                raise NonesuchError(f"{where}: {name!r} is none of {', '.join(SAMPLERS)}; write one, {_EXAMPLE}")
            content |= {"sampler": name} if name == usual.sampler else {"sampler": name, "eta": 0.0}
            continue
        if name not in content or name == "sampler":
            known = ", ".join(key for key in content if key != "sampler")
            raise NonesuchError(f"{where}: {word!r} is no setting; write a sampler, then {known}, {_EXAMPLE}")
        try:
            content[name] = int(value) if name == "steps" else float(value)
        except ValueError as error:
            raise NonesuchError(f"{where}: {word!r} has no number; write name=number, {_EXAMPLE}") from error
    return read_sampling(content, where)
