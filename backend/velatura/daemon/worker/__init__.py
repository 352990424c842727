"""The process that holds a device and runs edits."""
