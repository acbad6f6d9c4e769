"""How the stored schema came to be: one file a revision, named after it."""
