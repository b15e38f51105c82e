"""Settings, logs and metrics, clients, and how the rooms are put together."""
