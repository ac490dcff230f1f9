"""What the services of docker-compose.yaml run beside Airflow's and MLflow's own commands."""
