"""What CleverTap is told of an event and of a person. Pure: values in, values out."""
