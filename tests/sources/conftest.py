import numpy as np
import pytest


@pytest.fixture
def picture() -> np.ndarray:
    """20 x 30 pixels of RGB."""
    return np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
