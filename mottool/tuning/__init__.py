"""Searching the settings of a tracker: the space, who proposes, what a trial scores."""
