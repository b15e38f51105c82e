"""Reads the templates in `infra/`, for deployments and for the local stack."""
