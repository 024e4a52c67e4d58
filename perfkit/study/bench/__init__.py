"""The bench study: what was asked for (`request`), what is run for it (`plan`), what it says (`answer`)."""
