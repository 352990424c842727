"""Tokenizers and language models of the kinds that flow models read prompts with, small enough for a test.

They are of the real classes and have the real chat templates' form. The words of Qwen-Image's templates are one
token each, as in Qwen's own vocabulary; other words are read letter by letter.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers.trainers import BpeTrainer
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

from tests.tiny import byte_letters

QWEN_MARKS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"),
    *("<|video_pad|>", "<think>", "</think>"),
)
QWEN_CHAT = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}{%- endif %}"
)
"""Qwen3's chat template, without tools and thoughts."""
_WORDS = ["system", "user", "assistant", "Describe", "the", "image", "by", "detailing", "the", "color", "shape", "size", "texture", "quantity", "text", "spatial", "relationships", "of", "the", "objects", "and", "background", "Describe", "the", "key", "features", "of", "the", "input", "image", "color", "shape", "size", "texture", "objects", "background", "then", "explain", "how", "the", "user", "'s", "text", "instruction", "should", "alter", "or", "modify", "the", "image", "Generate", "a", "new", "image", "that", "meets", "the", "user", "'s", "requirements", "while", "maintaining", "consistency", "with", "the", "original", "input", "where", "appropriate", "Picture"]


def qwen_tokenizer(folder: Path) -> Path:
    """Writes a Qwen tokenizer of the 256 bytes and the templates' words; its folder."""
    learner = Qwen2Tokenizer().backend_tokenizer
    learner.train_from_iterator(
        [*(word for text in _WORDS for word in (text, f" {text}")), " (", "),"],
        BpeTrainer(vocab_size=2000, min_frequency=1, initial_alphabet=byte_letters(), show_progress=False),
    )
    learned = json.loads(learner.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        additional_special_tokens=list(QWEN_MARKS[1:]),
        model_max_length=131072,
    )
    tokenizer.chat_template = QWEN_CHAT
    tokenizer.save_pretrained(folder)
    return folder


def qwen3(folder: Path, layers: int = 28) -> Path:
    """Writes a random Qwen3 of 16 channels; its folder."""
    config = Qwen3Config(
        vocab_size=1024,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=1024,
        initializer_range=0.3,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder
