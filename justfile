# List the recipes
default:
    @just --list

bin := justfile_directory() / ".venv/bin"

# Make or update .venv (development)
setup:
    python3 infra/setup.py --dev

# Rewrite the code in the one format
format:
    {{bin}}/ruff format .
    {{bin}}/ruff check --fix .

# Look for mistakes and deviations from the format
lint:
    {{bin}}/ruff check .
    {{bin}}/ruff format --check .
    {{bin}}/hadolint Dockerfile infra/airgap/*/Dockerfile

# Check types, strictly, tests included
types:
    {{bin}}/mypy

# Check that dependencies point inwards
imports:
    {{bin}}/lint-imports

# Run the tests
test *arguments:
    {{bin}}/python -m pytest --numprocesses auto --dist loadscope {{arguments}}

# Attack a server by its OpenAPI document: its address, then --header, --max-time and so on
fuzz url *arguments:
    {{bin}}/schemathesis --config-file tests/end_to_end/openapi_fuzz.toml run {{url}}/schema/openapi.json {{arguments}}

# Everything that must be green: for you, for pre-commit and for CI
check: lint types imports test

# Measure retrieval on a folder of LoCoMo files
bench folder *arguments:
    {{bin}}/python benchmarks/locomo.py {{folder}} {{arguments}}

# Serve the REST API on this machine
serve *arguments:
    {{bin}}/soma serve {{arguments}}

# Generate the gRPC code from proto/
proto *arguments:
    {{bin}}/python -m infra.proto {{arguments}}

# Build the container image
image:
    DOCKER_BUILDKIT=1 docker build --tag somafractalmemory .

# Start the server profile in containers: makes .env once, prints every address and the admin key
up *arguments:
    {{bin}}/python -m infra.up {{arguments}}

# The same with Prometheus, Grafana (its password is in .env) and a trace collector
up-observed *arguments:
    {{bin}}/python -m infra.up --observed {{arguments}}

# Stop it; the volumes stay
down:
    {{bin}}/python -m infra.compose down --remove-orphans

# Stop it and delete everything it stored
wipe:
    {{bin}}/python -m infra.compose down --remove-orphans --volumes

# The same after `just up-observed`
wipe-observed:
    COMPOSE_FILE=docker-compose.yml:infra/observability/compose.yml {{bin}}/python -m infra.compose down --remove-orphans --volumes

# Show what the containers say
logs *arguments:
    {{bin}}/python -m infra.compose logs {{arguments}}

# Print what a profile of the Helm chart makes: local-dev or prod-ha, then helm's own options
helm-render profile *arguments:
    @{{bin}}/python -m infra.chart render {{profile}} {{arguments}}

# Check the Helm chart without a cluster: lint, render, validate, both profiles
helm-check:
    {{bin}}/python -m infra.chart check

# Install or upgrade everything in the cluster of your kubeconfig, stores included
helm-install-local-dev *arguments:
    {{bin}}/python -m infra.chart install local-dev --namespace soma --create-namespace {{arguments}}

# Install or upgrade replicas beside your own servers: --values with what infra/helm/examples/prod-ha.yaml asks
helm-install-prod-ha *arguments:
    {{bin}}/python -m infra.chart install prod-ha --namespace soma --create-namespace {{arguments}}

# Make the images that hosts without an image registry need (root); prints their names
airgap *arguments:
    {{bin}}/python -m infra.airgap.build {{arguments}}

compile := "uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 pyproject.toml --group build"

# Resolve the dependencies again (needs uv); pass --upgrade for newer versions
lock *arguments:
    {{compile}} {{arguments}} --output-file requirements.lock
    {{compile}} {{arguments}} --group dev --constraints requirements.lock --output-file requirements-dev.lock
