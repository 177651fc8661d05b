"""The transformer: `Config`, `Model`, small `EXAMPLES`, and the parts that models like it are made of."""

from .model import EXAMPLES, Block, Cache, Config, Model, look, recall, rotary, softmax_attention

__all__ = ["EXAMPLES", "Block", "Cache", "Config", "Model", "look", "recall", "rotary", "softmax_attention"]
