"""A small dataset for tests of learners."""

import pytest
from figures import street
from learners import SIZE

from mottool.data.formats import open_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    scene = street(tmp_path_factory.mktemp("data") / "street", frames=4, size=SIZE)
    return open_dataset(scene, print)
