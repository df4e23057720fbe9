"""Learners of a small dataset, and the loss terms of a batch of it."""

import numpy as np
import torch

from mottool.data.batches import collate
from mottool.data.samples import Samples
from mottool.networks.registry import NETWORKS, load, trainable

__all__ = ["SIZE", "batch_of", "learner_of", "teacher", "terms_of"]

SIZE = (128, 96)


def teacher(rows):
    return np.ones((len(rows), 8), np.float32) / 8**0.5


def learner_of(pipeline, dataset, settings=None):
    family = trainable(pipeline).family
    torch.manual_seed(0)
    return load(family.learner)(pipeline, dataset, SIZE, settings or family.learning())


def batch_of(learner, pipeline, dataset):
    view = load(NETWORKS[pipeline].family.preprocessor)(*SIZE)
    taught = teacher if learner.taught else None
    samples = Samples(dataset, view, None, learner.pairs, 0, taught)
    return collate([samples[0, index] for index in (0, 2)])


def terms_of(learner, pipeline, dataset):
    examples = learner.examples(batch_of(learner, pipeline, dataset))
    return learner(examples.inputs, examples.targets)
