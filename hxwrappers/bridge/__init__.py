"""Parts that shelves share: models, trackers, matching, actions, info entries, statistics."""
