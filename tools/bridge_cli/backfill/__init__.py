"""`bridge backfill`: from the files of an old app to the events queue."""
