"""docker-compose.yaml without a container engine: each service's own command as local processes in namespaces.

For tests, benchmarks and a look at the team's stack where there is no Docker; needs root, Linux, PostgreSQL's and
Redis's programs. What it can't show stands in docs/operations.md: programs come from this machine and its environment.
"""
