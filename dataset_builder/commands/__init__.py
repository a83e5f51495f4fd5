"""What `python -m dataset_builder` does beside building: flags, status, inspection, orders, imports."""
