"""The ID encoder against transformers' CLIP, and against torch's own transformer where that is not installed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nonesuch import NonesuchError
from nonesuch.generators.arc2face import id_encoder
from nonesuch.generators.arc2face.id_encoder import IdEncoder
from tests.filling import fill

WIDTH, INNER, HEADS, DIM = 48, 64, 3, 32
# From CLIP's published list of merges (bpe_simple_vocab_16e6.txt): <start> photo of a id person <end> <end> ...
TOKENS = [49406, 1125, 539, 320, 1014, 2533, *[49407] * 71]


@pytest.fixture(scope="module")
def encoder() -> IdEncoder:
    encoder = IdEncoder(feature_dim=DIM, width=WIDTH, layers=2, heads=HEADS, inner=INNER).eval()
    fill(encoder)
    return encoder


@pytest.fixture(scope="module")
def vectors() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(0, 9, (3, DIM)).astype(np.float32))


def _words(encoder: IdEncoder, vectors: Tensor) -> Tensor:
    """As published: the padded unit vector takes the place of the token "id"."""
    tokens = torch.tensor([TOKENS]).repeat(len(vectors), 1)
    words = encoder.text_model.embeddings.token_embedding(tokens).clone()
    words[tokens == 1014] = F.pad(vectors / vectors.norm(dim=1, keepdim=True), (0, WIDTH - DIM))
    return words


def test_torchs_own_transformer_gives_the_same(encoder: IdEncoder, vectors: Tensor) -> None:
    x = _words(encoder, vectors) + encoder.text_model.embeddings.position_embedding.weight
    mask = nn.Transformer.generate_square_subsequent_mask(77)
    for layer in encoder.text_model.encoder.layers:
        attention, own = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval(), layer.self_attn
        projections = (own.q_proj, own.k_proj, own.v_proj)
        attention.in_proj_weight.data = torch.cat([part.weight for part in projections])
        attention.in_proj_bias.data = torch.cat([part.bias for part in projections])
        attention.out_proj.load_state_dict(own.out_proj.state_dict())
        h = layer.layer_norm1(x)
        x = x + attention(h, h, h, attn_mask=mask, need_weights=False)[0]
        inner = layer.mlp.fc1(layer.layer_norm2(x))
        x = x + layer.mlp.fc2(inner * torch.sigmoid(1.702 * inner))
    with torch.inference_mode():
        torch.testing.assert_close(encoder(vectors), encoder.text_model.final_layer_norm(x), atol=1e-5, rtol=1e-4)


def test_transformers_gives_the_same(encoder: IdEncoder, vectors: Tensor) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPTextConfig(
        vocab_size=49408,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        bos_token_id=49406,
        eos_token_id=49407,
    )
    reference = transformers.CLIPTextModel(config).eval()
    wanted = reference.state_dict().keys()  # releases since 5 leave out "text_model."
    own = dict(encoder.state_dict())
    own |= {name.removeprefix("text_model."): tensor for name, tensor in own.items()}
    missing = reference.load_state_dict({name: own[name] for name in wanted if name in own}, strict=False).missing_keys
    assert [name for name in missing if "position_ids" not in name] == []
    table = reference.get_input_embeddings()
    table.register_forward_hook(lambda layer, given, found: _words(encoder, vectors) if len(found) == 3 else found)
    with torch.inference_mode():
        known = reference(input_ids=torch.tensor([TOKENS] * 3)).last_hidden_state
        nobody = reference(input_ids=torch.tensor([[49406, *[49407] * 76]])).last_hidden_state
        torch.testing.assert_close(encoder(vectors), known, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(encoder.of_nobody(), nobody, atol=1e-5, rtol=1e-4)


def test_what_comes_before_the_identity_does_not_know_it(encoder: IdEncoder, vectors: Tensor) -> None:
    with torch.inference_mode():
        told = encoder(vectors)
        assert torch.equal(encoder(vectors * 3.0), told) or torch.allclose(encoder(vectors * 3.0), told, atol=1e-5)
    assert told.shape == (3, 77, WIDTH)
    torch.testing.assert_close(told[:, :4], told[:1, :4].expand(3, -1, -1), atol=1e-6, rtol=0)
    assert (told[0, 4:] - told[1, 4:]).abs().amax(1).min() > 1e-3


def test_the_published_size_and_names() -> None:
    with torch.device("meta"):
        network = IdEncoder()
    assert sum(part.numel() for part in network.parameters()) == 123_060_480  # CLIP ViT-L/14's text model
    names = {name.replace(".11.", ".N.") for name in network.state_dict() if ".layers." not in name or ".11." in name}
    linear = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2")
    layers = [f"encoder.layers.N.{name}" for name in (*linear, "layer_norm1", "layer_norm2")]
    both = {f"text_model.{name}.{end}" for name in (*layers, "final_layer_norm") for end in ("weight", "bias")}
    tables = {f"text_model.embeddings.{name}_embedding.weight" for name in ("token", "position")}
    assert names == both | tables
    assert [*id_encoder._PROMPT, *[id_encoder._END] * 71] == TOKENS


@pytest.mark.parametrize("sizes", [{"feature_dim": 900}, {"heads": 7}, {"vocabulary": 100}, {"tokens": 5}])
def test_sizes_that_cannot_be(sizes: dict[str, int]) -> None:
    with pytest.raises(NonesuchError, match="does not take"):
        IdEncoder(**sizes)
