"""Records of caches: which files they compare."""

import pytest
from exports import colours_onnx

from mottool.files import file_digest
from mottool.models.device import Compute
from mottool.models.exported import open_exported
from mottool.pipelines.cache_record import pipeline_inputs
from mottool.pipelines.choice import PipelineConfig


@pytest.mark.parametrize("name", ["reid.onnx.data", "reid.onnx_data"])
def test_external_data_of_an_onnx_file_is_a_part_of_the_weights(tmp_path, name):
    path = colours_onnx(tmp_path / "reid.onnx")
    config = PipelineConfig(pipeline="public", embedder="reid", embedder_weights=path)

    def hashes():
        opened = open_exported(path, Compute.named("cpu"))
        return opened.sha256, pipeline_inputs(config, file_digest)["embedder_weights"]

    seen = {hashes()}
    for content in (b"1", b"2"):
        (tmp_path / name).write_bytes(content)
        seen.add(hashes())
    assert len({header for header, _ in seen}) == len({record for _, record in seen}) == 3
