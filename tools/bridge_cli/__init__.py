"""The operator's cli: what the people who run the bridge ask of it."""
