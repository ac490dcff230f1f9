"""The command line: the same steps as the DAG's, without Airflow."""
