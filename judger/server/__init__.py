"""The server: `process` (start, health, signals), `rpcs` (the service), `info` (GetJudge), `exposure` and `callers`
(who may call, and how much), `pem` (certificates)."""
