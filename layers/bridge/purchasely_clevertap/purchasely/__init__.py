"""What Purchasely sends: its signature, its events and what they mean."""
