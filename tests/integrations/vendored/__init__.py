"""Code of libraries that no package index has, as it stands there."""
