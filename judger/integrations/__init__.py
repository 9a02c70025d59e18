"""The doors of the libraries that call a reward or a judge: one module a library, on `_common`.

Each needs the client and its own library alone. What a library makes of a report without a reward differs, and so do
its traps: the head of each module names them.
"""
