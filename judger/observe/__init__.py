"""What others see of a server: `logs`, a line a request (`requestlog`), Prometheus `metrics`, `tracing` over OTLP."""
