"""A small world generated from a seed: things with facts, and linked documents that tell of them, not all truly."""
