"""BDH, the Dragon Hatchling: `Config`, `Model` and small `EXAMPLES`."""

from bdh_reason.bdh.model import EXAMPLES, Config, Model

__all__ = ["EXAMPLES", "Config", "Model"]
