"""What every adapter of a port must do, for adapters anywhere: derive from a suite, run pytest.

Needs pytest with pytest-asyncio in `asyncio_mode = "auto"`, and Hypothesis.
"""

import pytest

pytest.register_assert_rewrite("contracts.vector_index")
