"""What is configured, and where that is read."""

from adapters.environment.loading import OPENAI_NEEDS, load_settings, variable
from adapters.environment.settings import KEYS, SECRETS, Settings, masked

__all__ = ["KEYS", "OPENAI_NEEDS", "SECRETS", "Settings", "load_settings", "masked", "variable"]
