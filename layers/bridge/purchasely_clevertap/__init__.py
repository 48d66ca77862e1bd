"""The bridge from Purchasely's webhooks to CleverTap's upload API."""
