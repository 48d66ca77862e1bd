"""CleverTap's upload API: its regions, limits, records and answers, and the client."""
