"""What the stores promise, how they refuse, and the codec; `storage.dynamodb` implements it."""
