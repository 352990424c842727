"""What costs much to make and is made once: named by its content, kept in memory and on disk within budgets.

`cache` is the store, `keys` its names, `values` what may be kept and how it is written, `files` the folder.
"""
