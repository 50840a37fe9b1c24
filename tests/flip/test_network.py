"""FLIP's network: published names and sizes, and each encoder beside transformers' with the same weights."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nonesuch.core.network_size import outlined
from nonesuch.flip.network import Flip
from nonesuch.flip.presets import FLIPS
from nonesuch.flip.text import TextEncoder
from nonesuch.flip.vision import VisionEncoder
from nonesuch.models import load_flip
from tests.conftest import Cli

# From CLIP's and BERT's own namings, and BLIP's for what joins them.
_PUBLISHED = {
    "visual_encoder.vision_model.embeddings.class_embedding": (768,),
    "visual_encoder.vision_model.embeddings.patch_embedding.weight": (768, 3, 16, 16),
    "visual_encoder.vision_model.embeddings.position_embedding.weight": (197, 768),
    "visual_encoder.vision_model.pre_layrnorm.weight": (768,),
    "visual_encoder.vision_model.encoder.layers.11.self_attn.out_proj.bias": (768,),
    "visual_encoder.vision_model.encoder.layers.0.mlp.fc1.weight": (3072, 768),
    "visual_encoder.vision_model.encoder.layers.3.layer_norm2.bias": (768,),
    "visual_encoder.vision_model.post_layrnorm.weight": (768,),
    "text_encoder.embeddings.word_embeddings.weight": (30524, 768),
    "text_encoder.embeddings.position_embeddings.weight": (512, 768),
    "text_encoder.embeddings.LayerNorm.bias": (768,),
    "text_encoder.encoder.layer.0.attention.self.query.weight": (768, 768),
    "text_encoder.encoder.layer.11.attention.output.dense.bias": (768,),
    "text_encoder.encoder.layer.5.attention.output.LayerNorm.weight": (768,),
    "text_encoder.encoder.layer.5.crossattention.self.key.weight": (768, 768),
    "text_encoder.encoder.layer.5.crossattention.output.dense.weight": (768, 768),
    "text_encoder.encoder.layer.7.intermediate.dense.weight": (3072, 768),
    "text_encoder.encoder.layer.7.output.dense.weight": (768, 3072),
    "vision_proj.weight": (256, 768),
    "text_proj.bias": (256,),
    "itm_head.weight": (2, 768),
    "temp": (),
}


def test_base_has_the_published_names_and_sizes() -> None:
    network = outlined(lambda: Flip(**FLIPS["flip_base"]), {})
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert {name: shapes[name] for name in _PUBLISHED} == _PUBLISHED
    # 16 tensors of a vision block and 26 of a text layer, 12 of each; 3 + 2 + 2 around the one, 4 around the other.
    assert len(shapes) == 12 * (16 + 26) + 7 + 4 + 7


def _vision(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named = {name.removeprefix("vision_model."): tensor for name, tensor in theirs.items()}
    named = {name.replace("post_layernorm", "post_layrnorm"): tensor for name, tensor in named.items()}
    return {f"vision_model.{name}": tensor for name, tensor in named.items() if not name.endswith("position_ids")}


def test_the_image_encoder_is_clips() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    settings = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    settings |= {"image_size": 32, "patch_size": 8, "hidden_act": "quick_gelu"}
    theirs = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**settings)).eval()
    ours = VisionEncoder(channels=3, side=32, patch=8, width=32, depth=2, heads=4).eval()
    ours.load_state_dict(_vision(theirs.state_dict()))
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        last = theirs(pixels).last_hidden_state
        norm = next(module for name, module in theirs.named_modules() if name.endswith("post_layernorm"))
        torch.testing.assert_close(ours(pixels), norm(last), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("with_image", [False, True])
def test_the_text_encoder_is_berts(with_image: bool) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    settings = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    settings |= {"intermediate_size": 128, "max_position_embeddings": 20, "is_decoder": True}
    settings |= {"add_cross_attention": True, "attn_implementation": "eager"}
    theirs = transformers.BertModel(transformers.BertConfig(**settings), add_pooling_layer=False).eval()
    with torch.no_grad():
        theirs.embeddings.token_type_embeddings.weight.zero_()  # FLIP has none
        theirs.embeddings.word_embeddings.weight.normal_()
    ours = TextEncoder(words=50, positions=20, width=32, depth=2, heads=4, image_width=32, dropout=0.1).eval()
    state = {name: tensor for name, tensor in theirs.state_dict().items() if name in ours.state_dict()}
    ours.load_state_dict(state)
    tokens = torch.tensor([[2, 7, 9, 3, 0, 0], [2, 8, 11, 12, 13, 3]])
    image = torch.randn(2, 5, 32) if with_image else None
    # A mask for each pair of words, to be added, so that nothing is causal.
    mask = torch.where(tokens != 0, 0.0, -1e9)[:, None, None, :].expand(-1, 1, 6, -1)
    with torch.no_grad():
        expected = theirs(tokens, attention_mask=mask, encoder_hidden_states=image, use_cache=False).last_hidden_state
        found = ours(tokens, image)
        first = ours.first(tokens, image)
    there = tokens != 0
    torch.testing.assert_close(found[there], expected[there], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(first, expected[:, 0], atol=1e-5, rtol=1e-5)


def test_texts_read_together_are_those_read_alone() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(words=50, positions=20, width=32, depth=2, heads=4, image_width=32, dropout=0.1).eval()
    lengths = torch.randint(1, 12, (70,)).tolist()
    tokens = torch.zeros(70, 12, dtype=torch.int64)
    for row, length in enumerate(lengths):
        tokens[row, :length] = torch.randint(1, 50, (length,))
    with torch.no_grad():
        together = encoder.first(tokens)
        alone = torch.cat([encoder(tokens[row : row + 1, :length])[:, 0] for row, length in enumerate(lengths)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A checkpoint as the authors' training writes it, of a tiny network: twins, queues, CLIP's spelling of a norm."""
    torch.manual_seed(0)
    sizes = FLIPS["flip_tiny"]
    network = Flip(sizes["image"], {**sizes["text"], "words": 12}, sizes["dim"])
    state = {name.replace("post_layrnorm", "post_layernorm"): tensor for name, tensor in network.state_dict().items()}
    twins = ("visual_encoder", "text_encoder", "vision_proj", "text_proj")
    for name, tensor in list(state.items()):
        if name.startswith(twins):
            state[name.replace(".", "_m.", 1)] = tensor.clone()
    state |= {"image_queue": torch.zeros(16, 8), "text_queue": torch.zeros(16, 8), "idx_queue": torch.zeros(1, 8)}
    state |= {"ptr_queue": torch.zeros(1), "text_encoder.embeddings.position_ids": torch.arange(65)[None]}
    torch.save({"model": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}, tmp_path / "f.pth")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "man", "woman", "hat", "##s", "in"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    return tmp_path / "f.pth"


def test_a_published_checkpoint_becomes_a_weight_file(cli: Cli, published: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.safetensors"
    command = ("import-weights", published, "--out", out, "--architecture", "flip_tiny")
    assert "--vocabulary: name the list of tokens" in cli(*command).error
    outcome = cli(*command, "--vocabulary", tmp_path / "vocab.txt", "--licence", "CC BY 4.0")
    assert outcome.status == 0, outcome.err
    model = load_flip(out, "cpu")
    assert model.card.vocabulary[-2:] == ["[DEC]", "[ENC]"]
    saved = torch.load(published, weights_only=True)["model"]
    for name, tensor in model.network.state_dict().items():
        theirs = "module." + name.replace("post_layrnorm", "post_layernorm")
        torch.testing.assert_close(tensor, saved[theirs])
    assert model.text_vectors(["a man in hats"]).shape == (1, 16)


def test_other_checkpoints_are_refused(cli: Cli, published: Path, tmp_path: Path) -> None:
    out, saved = tmp_path / "ours.safetensors", torch.load(published, weights_only=True)
    command = ("import-weights", published, "--out", out, "--vocabulary", tmp_path / "vocab.txt", "--architecture")
    assert "not FLIP of this size: it lacks text_encoder.encoder.layer.2" in cli(*command, "flip_small").error
    del saved["model"]["module.itm_head.bias"]
    torch.save(saved, published)
    assert "not FLIP of this size: it lacks itm_head.bias" in cli(*command, "flip_tiny").error
    saved["model"] |= {"module.itm_head.bias": torch.zeros(2), "module.pooler.weight": torch.zeros(2)}
    torch.save(saved, published)
    assert "it has besides pooler.weight" in cli(*command, "flip_tiny").error
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    assert "lists 2 tokens where the weights have 12" in cli(*command, "flip_tiny").error
    assert not out.exists()
