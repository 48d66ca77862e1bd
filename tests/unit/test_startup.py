import gc
import importlib
from collections.abc import Iterator

import pytest

from purchasely_clevertap import startup


@pytest.fixture(autouse=True)
def _afterwards() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_the_collector_rests_until_the_start_has_ended() -> None:
    importlib.reload(startup)
    assert not gc.isenabled()
    startup.ended()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
