"""How a batch is delivered once: messages, entries, retries. Pure: values in, values out."""
