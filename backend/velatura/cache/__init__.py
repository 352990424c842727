"""Values that are expensive to make: made once, named by their content, kept in memory and on disk within
budgets.

`cache` is the store, `keys` makes the names, `values` says which values can be kept and writes them, `files`
is the folder.
"""
