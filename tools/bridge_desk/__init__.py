"""The operator's desk: what the people who run the bridge ask of it."""
