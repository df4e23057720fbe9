from dataclasses import replace

import datasets
import numpy as np
import pytest
import torch
from learners import learner_of, terms_of

from mottool.errors import SettingError
from mottool.networks.mottool_s import MottoolSLearning


def test_pairs_are_used_only_without_identities_and_teacher(tmp_path):
    data = datasets.mixed(tmp_path)
    learner = learner_of("mottool-s", data)
    terms = terms_of(learner, "mottool-s", data)
    assert {"intra", "inter", "cycle", "identity"} < terms.keys()
    learner.teach(8)
    assert learner.pairs is None
    assert learner_of("mottool-s", data, MottoolSLearning(unsupervised=0)).pairs is None
    known = replace(data, identities=np.arange(len(data.boxes)))
    assert learner_of("mottool-s", known).pairs is None


def test_terms_are_weighted_by_the_settings(dataset):
    plain = terms_of(learner_of("mottool-s", dataset), "mottool-s", dataset)
    settings = MottoolSLearning(identity=0.3, occlusion_weight=0)
    changed = terms_of(learner_of("mottool-s", dataset, settings), "mottool-s", dataset)
    hidden = plain["occlusion"] + plain["occlusion_offset"]
    wanted = plain["total"] + 0.2 * plain["identity"] - 0.5 * hidden
    torch.testing.assert_close(changed["total"], wanted)


def test_only_trained_parts_change(dataset):
    learner = learner_of("mottool-s", dataset)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    learner.learn_only(["identity"])
    learner.train()
    optimiser = learner.optimiser(1e-2)
    terms_of(learner, "mottool-s", dataset)["total"].backward()
    optimiser.step()
    after = learner.network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed
    assert all(name.startswith("identity.") for name in changed)


def test_heads_trained_alone_have_the_same_losses(dataset):
    whole, part = (learner_of("mottool-s", dataset).eval() for _ in range(2))
    part.learn_only(["occlusion", "occlusion_offset"])
    part.eval()
    wanted = terms_of(whole, "mottool-s", dataset)
    result = terms_of(part, "mottool-s", dataset)
    assert result.keys() == {"occlusion", "occlusion_offset", "total"}
    for name in ("occlusion", "occlusion_offset"):
        torch.testing.assert_close(result[name], wanted[name], rtol=1e-4, atol=1e-4)
    assert part.state_dict().keys() == whole.state_dict().keys()


def test_an_unknown_part_is_refused(dataset):
    with pytest.raises(SettingError, match=r"has no part 'identty'.*did you mean 'identity'"):
        learner_of("mottool-s", dataset).learn_only(["identty"])
