"""Serves the tiny model with llama.cpp's own server until it is ended: `python llama_server.py FOLDER`.

The server says on which loopback address it listens.
"""

import signal
import sys
from pathlib import Path

import xllamacpp

import tiny_model

ALIAS = "tiny"
"""What the server calls the model."""


def main(folder):
    model = Path(folder) / "tiny.gguf"
    tiny_model.write(model)
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {ALIAS}
    params.n_ctx = tiny_model.CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.warmup = False
    # Answers chat and completions all the same.
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(f"serving {ALIAS} on {server.listening_address}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
