"""Recipes: datasets, pipelines and trackers whose product is made, as far as it is stale."""
