"""Search the settings of a tracker: the search space, the samplers, the trials and their scores."""
