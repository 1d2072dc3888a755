"""Version of gc-tuner, the same as in ``pyproject.toml``; an image holds no package metadata."""

VERSION = "0.1.0"
