"""MLflow: runs, versions and aliases, as people see them."""
