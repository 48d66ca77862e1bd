"""The adapters to AWS: queues, ledger, secrets, settings."""
