from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a config into an empty current folder and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="c.yaml"):
        content = text if isinstance(text, bytes) else text.encode()
        Path(name).write_bytes(content)
        return name

    return write
