"""Documents to text: the only place with rich and pandas (matplotlib too) besides the command line."""
