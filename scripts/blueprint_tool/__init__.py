"""From a blueprint to modules: reads it, writes their files, and merges later changes into them."""
