ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
COPY requirements.lock ./
# Behind a proxy with a certificate of its own: docker build --secret id=ca,src=FILE
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python -m venv --without-pip /opt/soma \
    && python -m pip --python /opt/soma/bin/python install --no-cache-dir --no-deps \
       --require-hashes --requirement requirements.lock
COPY . .
RUN python -m pip --python /opt/soma/bin/python install --no-cache-dir --no-deps \
    --no-build-isolation .

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/soma soma
COPY --from=build /opt/soma /opt/soma
ENV PATH=/opt/soma/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SOMA_DATA_DIR=/var/lib/soma \
    SOMA_HOST=0.0.0.0
USER soma
WORKDIR /var/lib/soma
VOLUME /var/lib/soma
EXPOSE 8420
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8420/healthz', timeout=2)"]
CMD ["soma", "serve"]
