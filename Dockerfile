# One image with two targets: `api` has no torch, `worker` has everything.
#   docker build --target api -t interest-graph-api .
#   docker build --target worker -t interest-graph-worker .
FROM python:3.11.11-slim-bookworm AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/venv/bin:$PATH \
    VIRTUAL_ENV=/opt/venv \
    INTEREST_GRAPH_MODELS_DIR=/var/lib/interest-graph/models \
    INTEREST_GRAPH_METRICS_DIR=/var/lib/interest-graph/metrics \
    NUMBA_CACHE_DIR=/tmp/kernels
RUN useradd --system --uid 10001 --create-home interest-graph \
 && mkdir -p /var/lib/interest-graph/models /var/lib/interest-graph/metrics \
 && chown -R interest-graph /var/lib/interest-graph
WORKDIR /app

FROM base AS build
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv /opt/venv
COPY pyproject.toml requirements.txt ./

FROM build AS build-api
# The pins and hashes of requirements.txt, for the packages that the API needs alone.
RUN uv pip install --no-cache --constraint requirements.txt --requirement pyproject.toml hatchling
COPY . .
RUN uv pip install --no-cache --no-deps --no-build-isolation .

FROM build AS build-worker
RUN uv pip install --no-cache --constraint requirements.txt --requirement pyproject.toml \
      --extra models --extra load hatchling
COPY . .
RUN uv pip install --no-cache --no-deps --no-build-isolation .

FROM base AS api
COPY --from=build-api /opt/venv /opt/venv
USER interest-graph
EXPOSE 8000
CMD ["python", "-m", "api", "--interface", "asginl", "--factory", "api.gateway:create_gateway", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--no-ws", "--http", "1", "--http1-header-read-timeout", "20000", "--http1-buffer-size", "65536", "--respawn-failed-workers", "--workers-kill-timeout", "10"]

FROM base AS worker
ENV OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
COPY --from=build-worker /opt/venv /opt/venv
USER interest-graph
CMD ["python", "-m", "workers.ingest"]
