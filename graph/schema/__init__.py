"""The words in which a schema is declared, and the types that are made from what they say."""
