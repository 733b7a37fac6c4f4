"""Settings of the tests of the lab: decoded images are kept in a folder of the tests, not in the user's cache."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_of_tests(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIXAUG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
