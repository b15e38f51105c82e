"""An example of a Broker: a client of the API, and a demonstration that uses it."""
