"""A diagnosis in words, as a tree of times, on a terminal, in Markdown and in a table: one file each."""
