"""The interfaces of the stores, their errors and the codec; `storage.dynamodb` implements them."""
