"""Parts that the shelves share: held models, matching, coins, info entries, vector steps."""
