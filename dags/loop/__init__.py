"""What Airflow asks of every task of the daily loop, so that the DAG files read as the loop. No DAG lives here.

run: what a run is about, its form and its data day · turns: whose turn it is · tasks: a step as a task, what is tried
again, how it fails · approval: how a person is asked.
"""
