"""Settings, logs and metrics, clients, and the wiring of the packages."""
