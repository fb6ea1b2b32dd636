"""Steps on an NVIDIA GPU. Nothing here is imported before an operation is placed on one."""
