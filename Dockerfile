# One image for every role: `soma serve` (the default), `soma worker`, and every other command.
# PYTHON_IMAGE may be any Debian-like image with python3 (3.11 or newer) and pip.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
COPY requirements.lock ./
# Behind a proxy with a certificate of its own: docker build --secret id=ca,src=FILE
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3 -m venv --without-pip /opt/soma \
    && python3 -m pip --python /opt/soma/bin/python3 install --no-cache-dir --no-deps \
       --require-hashes --requirement requirements.lock
COPY . .
RUN python3 -m pip --python /opt/soma/bin/python3 install --no-cache-dir --no-deps \
    --no-build-isolation .

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/soma soma
COPY --from=build /opt/soma /opt/soma
ENV PATH=/opt/soma/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SOMA_DATA_DIR=/var/lib/soma \
    SOMA_HOST=0.0.0.0
# A number, so that a cluster can see that it is not root.
USER 10001
WORKDIR /var/lib/soma
VOLUME /var/lib/soma
EXPOSE 8420 8421
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s CMD \
    ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('SOMA_PORT', '8420') + '/healthz', timeout=3)"]
ENTRYPOINT ["soma"]
CMD ["serve"]
