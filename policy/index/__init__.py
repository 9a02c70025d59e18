"""The local index: documents in, paragraphs out (`store`), read by well-kept parsers (`parse`)."""
