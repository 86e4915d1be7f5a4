# syntax=docker/dockerfile:1

# The tag is exact. A digest is stricter still, but has to be looked up in a registry: replace the tag by
# `python:3.11.15-slim-bookworm@sha256:…` where builds must be repeatable to the byte.
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /srv/tessera
# The lock alone first: this layer is built again only when a dependency changes. Wheels only, so that nothing of
# a dependency runs while the image is built; pip stays outside of the environment that is shipped.
COPY requirements.txt ./
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --require-hashes --only-binary=:all: -r requirements.txt
COPY LICENSE alembic.ini ./
COPY alembic ./alembic
COPY scripts ./scripts
COPY seeds ./seeds
COPY app ./app
# At run time the code is read-only, so that its bytecode is made here.
RUN /opt/venv/bin/python -m compileall -q app alembic scripts seeds

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tessera" \
      org.opencontainers.image.description="Modular-monolith FastAPI backend with identity and fine-grained privileges" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV ENVIRONMENT=production \
    HOME=/tmp \
    PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    PYTHONUNBUFFERED=1
WORKDIR /srv/tessera
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /srv/tessera /srv/tessera
# A fixed number, because volumes know owners by number. Code and environment stay root's: the process can write
# to the two volumes only.
RUN groupadd --system --gid 10001 tessera \
    && useradd --system --uid 10001 --gid tessera --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tessera \
    && install --directory --owner=tessera --group=tessera --mode=0750 data logs
VOLUME ["/srv/tessera/data", "/srv/tessera/logs"]
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Asks under a name of ALLOWED_HOSTS, since 127.0.0.1 need not be among them.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; host = os.environ.get('ALLOWED_HOSTS', '').split(',')[0].strip().replace('*', 'health') or 'localhost'; server = http.client.HTTPConnection('127.0.0.1', 8000, timeout=3); server.request('GET', '/health/live', headers={'Host': host}); sys.exit(server.getresponse().status != 200)"]
CMD ["python", "-m", "app", "serve", "--host", "0.0.0.0", "--port", "8000"]
