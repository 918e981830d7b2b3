"""What is configured, and where that is read."""

from adapters.environment.loading import OPENAI_NEEDS, load_settings, variable
from adapters.environment.settings import SECRETS, Settings, masked

__all__ = ["OPENAI_NEEDS", "SECRETS", "Settings", "load_settings", "masked", "variable"]
