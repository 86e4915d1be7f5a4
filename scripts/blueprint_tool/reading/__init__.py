"""From the file of a blueprint to entities that are known to be right, or to everything that is wrong with it."""
