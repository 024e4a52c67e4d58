"""A training that is a module of a package."""
