"""Writes a model that llama.cpp can load: the least llama there is, with random weights and a vocabulary of characters.

What it says is noise, but always the same noise: the weights come from a fixed seed. With temperature 0 it says printable
characters only.
"""

import string

import gguf
import numpy

CONTEXT = 512
WIDTH = 32
HEADS = 2
FEED_FORWARD = 64
LAYERS = 1

# SentencePiece writes a space as U+2581.
CHARACTERS = [*string.ascii_letters, *string.digits, *".,:;!?'-", "\u2581"]
CONTROL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
TOKENS = [*CONTROL, *BYTES, *CHARACTERS]
KINDS = [
    gguf.TokenType.UNKNOWN,
    *[gguf.TokenType.CONTROL] * 2,
    *[gguf.TokenType.BYTE] * len(BYTES),
    *[gguf.TokenType.NORMAL] * len(CHARACTERS),
]

CHAT_TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant: "


def write(path):
    """Writes the model to a file."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    _vocabulary(writer)
    for name, weights in _weights().items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary(writer):
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types(KINDS)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)


def _weights():
    random = numpy.random.default_rng(7)

    def matrix(rows, columns):
        return random.normal(0.0, 0.3, (rows, columns)).astype(numpy.float32)

    ones = numpy.ones(WIDTH, numpy.float32)
    output = matrix(len(TOKENS), WIDTH)
    # Of so many characters the likeliest is likelier than zero, which leaves none of these.
    output[: len(CONTROL) + len(BYTES)] = 0.0
    weights = {"token_embd.weight": matrix(len(TOKENS), WIDTH), "output_norm.weight": ones, "output.weight": output}
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        weights |= {f"{block}.{norm}_norm.weight": ones for norm in ("attn", "ffn")}
        weights |= {f"{block}.attn_{name}.weight": matrix(WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        weights |= {f"{block}.ffn_{name}.weight": matrix(FEED_FORWARD, WIDTH) for name in ("gate", "up")}
        weights[f"{block}.ffn_down.weight"] = matrix(WIDTH, FEED_FORWARD)
    return weights
