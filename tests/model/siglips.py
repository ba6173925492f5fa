"""Tiny SigLIPs with random weights, built in code: with Gemma's kind of tokenizer, as SigLIP 2 has it, or with a
Unigram model, as the first SigLIP.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    GemmaTokenizer,
    PreTrainedTokenizerBase,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    TokenizersBackend,
)

from contract.checkpoints import CheckpointMetadata
from model.clip.checkpoint import save_checkpoint

SIDE_PX = 32
CONTEXT_LENGTH = 64
CHARACTERS = [chr(code) for code in range(33, 127)]
GEMMA_TOKENS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]


def gemma_tokenizer(*, masks: bool = False) -> GemmaTokenizer:
    """Every character is a token, and "a " is one; every text ends with <eos>. Google's files do not ask for a mask."""
    pieces = [*GEMMA_TOKENS, "▁", *CHARACTERS, "▁a"]
    names = ["input_ids", "attention_mask"] if masks else ["input_ids"]
    tokenizer = GemmaTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[("▁", "a")],
        padding_side="right",
        model_input_names=names,
        model_max_length=CONTEXT_LENGTH,
    )
    ends = TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", GEMMA_TOKENS.index("<eos>"))])
    tokenizer.backend_tokenizer.post_processor = ends
    return tokenizer


def unigram_tokenizer() -> TokenizersBackend:
    """Texts in lower case without punctuation; </s> ends and fills them."""
    pieces = [
        ("<unk>", 0.0),
        ("</s>", 0.0),
        ("▁", -2.0),
        *((character, -3.0) for character in CHARACTERS),
        ("▁a", -1.0),
    ]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(".", "")])
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return TokenizersBackend(
        tokenizer_object=backend,
        unk_token="<unk>",
        eos_token="</s>",
        pad_token="</s>",
        model_input_names=["input_ids"],
        model_max_length=CONTEXT_LENGTH,
    )


def tiny_siglip(tokenizer: PreTrainedTokenizerBase, seed: int = 0, side_px: int = SIDE_PX) -> SiglipModel:
    """Weights large enough that different images and words get different scores, and a scale and bias as published."""
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT_LENGTH}
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = SiglipConfig(
        text_config={**tower, **text, **ids}, vision_config={**tower, "image_size": side_px, "patch_size": 8}
    )
    torch.manual_seed(seed)
    model = SiglipModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.3 if "embed" in name or "probe" in name else 0.15)
        model.logit_scale.fill_(2.0)
        model.logit_bias.fill_(-1.5)
    return model


def tiny_siglip_processor(side_px: int = SIDE_PX, **options: object) -> SiglipImageProcessorPil:
    return SiglipImageProcessorPil(size={"height": side_px, "width": side_px}, **options)


def write_siglip(
    directory: Path,
    tokenizer: PreTrainedTokenizerBase,
    processor: SiglipImageProcessorPil | None = None,
    version: str = "tiny-siglip",
) -> None:
    """A complete checkpoint folder."""
    model, processor = tiny_siglip(tokenizer), processor or tiny_siglip_processor()
    save_checkpoint(directory, model, tokenizer, processor, CheckpointMetadata(version=version))


def write_first_siglip(directory: Path) -> None:
    """As Google's first SigLIPs say it, whose tokenizer's class needs SentencePiece."""
    write_siglip(directory, unigram_tokenizer(), version="tiny-siglip-1")
    path = directory / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "SiglipTokenizer"}))
