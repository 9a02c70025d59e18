"""The server: `process` (start, signals), `health`, `handlers` (bytes), `rpcs` (the service), `faults`, `info`
(GetJudge), `exposure`, `callers` and `inhand` (who may call, how much), `scrape` (metrics), `pem` (certificates)."""
