"""The server: `process` (start, signals), `health`, `handlers` (bytes), `rpcs` and `stream` (the service), `deadlines`,
`faults`, `info` (GetJudge), `exposure`, `callers` (who may call, how much), `scrape` (metrics), `pem` (certificates),
`listen`, `web` (its HTTP doors).
"""
