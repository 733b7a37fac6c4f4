"""Settings of every test."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from hypothesis import settings

settings.register_profile("mixaug", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("mixaug")
