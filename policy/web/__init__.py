"""The web, where it is allowed: guarded fetches, hosted search services, and a cache of both on disk."""
