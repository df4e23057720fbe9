"""CSTrack's structures: the paper's form, relations, attentions and heads."""

import re

import pytest
import torch

from mottool.models.cstrack import STRIDES, CSTrack, Structure


@pytest.fixture(scope="module")
def small() -> CSTrack:
    """CSTrack-S with its initial values."""
    torch.manual_seed(0)
    return CSTrack(0.3, 0.3).eval()


def test_parameters(small: CSTrack) -> None:
    """The large network has as many as the authors', CSTrack-S about a ninth."""
    with torch.device("meta"):
        large = CSTrack()
    assert sum(p.numel() for p in large.parameters()) == 78_863_078
    assert sum(p.numel() for p in small.parameters()) == 8_940_150
    assert small.backbone.channels == (80, 160, 312)


def test_parameters_of_the_paper_s_form() -> None:
    """§IV-B: 74.6 M with REN. With convolutions in its place 77.4 M, where the paper has 77.2 M.

    With C² = 256² + 512² + 1024² = 1,376,256 and C = 1792 channels over the levels:
    REN 3 C² + 3 C + 6 = 4,134,150; SAAN 9 C² + 2 C (3x3 and its norm) + 294 (7x7) + 3 + 1792² (CAM)
    + 9·1792·512 + 512 (3x3 to 512) = 23,859,497.
    """
    with torch.device("meta"):
        paper = CSTrack(structure=Structure("paper"))
        convolutions = CSTrack(structure=Structure("paper", relation="cnn"))
    assert sum(p.numel() for p in paper.relations.parameters()) == 4_134_150
    assert sum(p.numel() for p in paper.attention.parameters()) == 23_859_497
    assert sum(p.numel() for p in paper.parameters()) == 74_624_998
    assert sum(p.numel() for p in convolutions.parameters()) == 77_381_088


def test_the_learned_weights_of_self_relation_are_shown(small: CSTrack) -> None:
    assert small.details() == {f"lambda_{k}_{s}": 0.5 for k in (1, 2) for s in STRIDES}
    network = CSTrack(0.3, 0.3)
    torch.nn.init.constant_(network.relations[1].detection_share, 0.12122)
    torch.nn.init.constant_(network.relations[1].identity_share, 0.31519)
    shown = network.details()
    assert (shown["lambda_1_16"], shown["lambda_2_16"]) == (0.12122, 0.31519)
    assert CSTrack(0.3, 0.3, structure=Structure(relation="cnn")).details() == {}


# A structure, and which tensors of the authors' network it lacks and adds.
STRUCTURES = {
    "without REN": (Structure(relation="none"), r"^relations\.", r"$^"),
    "convolutions": (Structure(relation="cnn"), r"^relations\.", r"^relations\.\d\.\w+_convol"),
    "basic head": (Structure(head="basic"), r"^attention\.", r"^identity\.levels\.\d\."),
    "none": (Structure(level=(), fused=()), r"window|squeeze|weigh\.", r"$^"),
    "SAM": (Structure(fused=()), r"^attention\.channels\.weigh", r"$^"),
    "CAM": (
        Structure(level=("cam",), fused=()),
        r"window|squeeze|channels\.weigh",
        r"levels\.\d\.\d\.weigh\.",
    ),
    "SAM+CAM": (
        Structure(level=("sam", "cam"), fused=()),
        r"channels\.weigh",
        r"levels\.\d\.\d\.weigh\.",
    ),
    "SAM/SAM": (Structure(fused=("sam",)), r"channels\.weigh", r"^attention\.cells\."),
    "SAM/SAM+CAM": (Structure(fused=("sam", "cam")), r"$^", r"^attention\.cells\."),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_has_its_parts_and_is_read_from_its_file(name: str, small: CSTrack) -> None:
    structure, lacking, added = STRUCTURES[name]
    network = CSTrack(0.3, 0.3, structure=structure).eval()
    theirs, ours = set(small.state_dict()), set(network.state_dict())
    assert theirs - ours == {each for each in theirs if re.search(lacking, each)}
    assert ours - theirs == {each for each in ours if re.search(added, each)}
    again = CSTrack.from_checkpoint(network.state_dict(), "cstrack-s").eval()
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        heads, expected, whole = again(images), network(images), small(images)
    assert heads.keys() == expected.keys()
    for key, head in expected.items():
        assert torch.equal(heads[key], head)
        assert head.shape == (whole[key].shape if key in whole else (1, 512, *head.shape[2:]))


@pytest.mark.parametrize("relation", ["ren", "cnn", "none"])
@pytest.mark.parametrize("head", ["saan", "basic"])
def test_the_paper_s_form_is_read_from_its_file(relation: str, head: str) -> None:
    attentions = (("sam", "cam"), ("sam", "cam")) if head == "saan" else ((), ())
    structure = Structure("paper", relation, head, *attentions)
    network = CSTrack(0.3, 0.3, 64, structure).eval()
    assert Structure.of(network.state_dict()) == structure
    again = CSTrack.from_checkpoint(network.state_dict(), "cstrack-s").eval()
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        heads, expected = again(images), network(images)
    for key, value in expected.items():
        assert torch.equal(heads[key], value)
    assert expected["identity"].shape == (1, 64, 8, 12)


def test_without_ren_both_tasks_see_the_same() -> None:
    network = CSTrack(0.3, 0.3, structure=Structure(relation="none")).eval()
    features = torch.rand(1, 80, 4, 4)
    detection, identity = network.relations[0](features)
    assert torch.equal(detection, features)
    assert torch.equal(identity, features)


def test_convolutions_in_place_of_ren_differ_by_task() -> None:
    network = CSTrack(0.3, 0.3, structure=Structure(relation="cnn")).eval()
    features = torch.rand(1, 80, 4, 4)
    detection, identity = network.relations[0](features)
    assert detection.shape == identity.shape == features.shape
    assert not torch.allclose(detection, identity)
