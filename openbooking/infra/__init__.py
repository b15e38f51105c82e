"""Reads the templates in `infra/`, for deployment and for the local stack."""
