"""BDH, the Dragon Hatchling: `Config`, `Model`, small `EXAMPLES`, and the way to the released code's weights and back."""

from bdh_reason.bdh.model import EXAMPLES, Config, Model
from bdh_reason.bdh.released import from_released_state_dict, to_released_state_dict

__all__ = ["EXAMPLES", "Config", "Model", "from_released_state_dict", "to_released_state_dict"]
