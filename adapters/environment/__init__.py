"""What is configured, and where that is read."""

from adapters.environment.loading import load_settings, variable
from adapters.environment.settings import SECRETS, Settings, masked

__all__ = ["SECRETS", "Settings", "load_settings", "masked", "variable"]
