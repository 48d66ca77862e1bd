"""The bridge from Purchasely's webhooks to CleverTap's upload API."""

__version__ = "1.0.0"
