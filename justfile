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

# Compare with other systems: --quick for a minute, --help for the rest; results in benchmarks/results
bench *arguments:
    {{bin}}/python benchmarks/compare.py {{arguments}}

peers := justfile_directory() / ".venv-bench"

# Make .venv-bench: the systems that `bench` compares with, and what draws the plot
bench-setup:
    python3 -m venv --clear --without-pip {{peers}}
    python3 -m pip --python {{peers}}/bin/python --disable-pip-version-check install --quiet --no-deps --require-hashes -r benchmarks/requirements-peers.txt

# Write tables and plot of a results folder into docs/
bench-report folder:
    {{peers}}/bin/python -m benchmarks.report {{folder}} --docs --plot docs/performance-cost.svg

# Measure retrieval on a folder of LoCoMo files
bench-locomo folder *arguments:
    {{bin}}/python benchmarks/locomo.py {{folder}} {{arguments}}

# Serve the REST API on this machine
serve *arguments:
    {{bin}}/soma serve {{arguments}}

# Bring the table of settings in docs/configuration.md up to date
settings *arguments:
    {{bin}}/python -m infra.settings_table {{arguments}}

# Generate the gRPC code from proto/
proto *arguments:
    {{bin}}/python -m infra.proto {{arguments}}

# Copy the whole store to a new folder, checksummed
backup folder *arguments:
    {{bin}}/soma backup --to {{folder}} {{arguments}}

# Put a backup in the store's place, and erase again what was erased since
restore folder *arguments:
    {{bin}}/soma restore --from {{folder}} {{arguments}}

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

resolve := "uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11"
compile := resolve + " pyproject.toml --group build"

# Resolve the dependencies again (needs uv); pass --upgrade for newer versions
lock *arguments:
    {{compile}} {{arguments}} --output-file requirements.lock
    {{compile}} {{arguments}} --group dev --constraints requirements.lock --output-file requirements-dev.lock

# Resolve the compared systems again (needs uv); pass --upgrade for newer versions
bench-lock *arguments:
    {{resolve}} {{arguments}} benchmarks/requirements-peers.in --output-file benchmarks/requirements-peers.txt

# Write the manual to build/manual; nothing is fetched for it
docs *arguments:
    {{bin}}/mkdocs build --strict {{arguments}}

# Show the manual on this machine while you write it
docs-serve *arguments:
    {{bin}}/mkdocs serve {{arguments}}
