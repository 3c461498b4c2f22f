# Two images of one repository:
#   docker build --target gateway --tag vitrail/gateway:0.1.0 .     the service; no torch, no compiler, no pip
#   docker build --target builder --tag vitrail/builder:0.1.0 .     vitrail-build, with PyTorch
# docs/containers.md says how they are run, and what is in them.

# Any Debian or Ubuntu whose own Python is 3.11 or newer. A tag moves; a digest does not. For an image that can be
# built again, name the digest that you have looked at: --build-arg BASE=debian:bookworm-slim@sha256:…
ARG BASE=debian:bookworm-slim


FROM ${BASE} AS python
# Debian keeps only the newest build of a package: a pinned one cannot be had tomorrow.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
# ONNX Runtime reports to its maker unless it is told not to.
ENV ORT_DISABLE_TELEMETRY=1 \
    PATH=/opt/vitrail/bin:$PATH \
    PYTHONUNBUFFERED=1


# pip lives in an environment of its own, and installs from there into the one that is shipped.
FROM python AS installer
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils ca-certificates python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/pip \
    && python3 -m venv --without-pip /opt/vitrail
ENV PIP_CONSTRAINT=/src/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Empty packages stand for the real ones, so that the layers of what they need outlive a change of the code.
RUN mkdir contract service build_engines \
    && touch contract/__init__.py service/__init__.py build_engines/__init__.py


# A package index other than the public one is a secret of the build: --secret id=pip.conf,src=… and, where it has a
# certificate of its own, --secret id=ca.pem,src=… with `cert = /run/secrets/ca.pem` in that file.
FROM installer AS gateway-libraries
# The extra of pyproject.toml that brings ONNX Runtime: cpu, or gpu on a BASE with NVIDIA's libraries.
ARG DEVICE=cpu
COPY requirements requirements
# Of the files that the list names by their hashes, and of no others; gpu has no list, for its libraries come from
# NVIDIA's own index. What is removed at the end are the wheels' own tests (28 MB) and the symbols of their modules
# (78 MB).
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    if [ -f "requirements/gateway-${DEVICE}.txt" ]; \
    then \
        /opt/pip/bin/pip --python /opt/vitrail/bin/python install --no-compile --no-deps --only-binary :all: \
            --require-hashes --requirement "requirements/gateway-${DEVICE}.txt"; \
    else \
        /opt/pip/bin/pip --python /opt/vitrail/bin/python install --no-compile ".[${DEVICE},otel,jwt]" \
        && /opt/pip/bin/pip --python /opt/vitrail/bin/python uninstall --yes vitrail; \
    fi \
    && find /opt/vitrail/lib -type d -name tests -prune -exec rm -r {} + \
    && find /opt/vitrail/lib -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded {} +
# Bytecode only of what is imported at the start and at the first drawing: 24 MB instead of 97, and as quick.
RUN python -c "import cv2, fastapi_offline, grpc_health.v1.health, grpc_reflection.v1alpha.reflection, onnxruntime, simplejpeg, supervision, tritonclient.grpc.aio, uvicorn"


FROM installer AS code
COPY contract contract
COPY service service
COPY build_engines build_engines
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    /opt/pip/bin/pip --python /opt/vitrail/bin/python install --no-deps --no-compile --root /code . \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /code /code


FROM code AS gateway-code
RUN rm -r /code/opt/vitrail/bin/vitrail-build /code/opt/vitrail/lib/python3*/site-packages/build_engines


FROM installer AS builder-libraries
ARG DEVICE=cpu
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    /opt/pip/bin/pip --python /opt/vitrail/bin/python install --no-compile ".[${DEVICE},build]" \
    && /opt/pip/bin/pip --python /opt/vitrail/bin/python uninstall --yes vitrail


# Who runs it: a user by number, so that Kubernetes can see that it is not root.
FROM python AS unprivileged
RUN groupadd --gid 10001 vitrail \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin vitrail \
    && install --directory --owner 10001 --group 10001 /models /videos
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG BASE
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
# Everything that is written goes to /tmp, and of videos to /videos; the root may be read-only.
# USER, for who runs it under another number: PyTorch asks for a name.
ENV HOME=/tmp \
    USER=vitrail \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001


FROM unprivileged AS builder
LABEL org.opencontainers.image.title="Vitrail builder" \
      org.opencontainers.image.description="Compiles vision models into certified engines."
COPY --from=builder-libraries /opt/vitrail /opt/vitrail
COPY --from=code /code/opt/vitrail /opt/vitrail
# The work of a build can be kept: mount a volume here.
ENV XDG_CACHE_HOME=/tmp/cache
VOLUME ["/models"]
WORKDIR /
ENTRYPOINT ["vitrail-build"]
CMD ["--help"]


# The last stage is what a build without --target makes.
FROM unprivileged AS gateway
LABEL org.opencontainers.image.title="Vitrail gateway" \
      org.opencontainers.image.description="Serves vision models from certified engines over REST and gRPC."
COPY --from=gateway-libraries /opt/vitrail /opt/vitrail
COPY --from=gateway-code /code/opt/vitrail /opt/vitrail
ENV VITRAIL_REPOSITORY=/models \
    VITRAIL_VIDEOS=/videos \
    VITRAIL_HOST=0.0.0.0 \
    VITRAIL_PORT=8000
VOLUME ["/models", "/videos"]
EXPOSE 8000 8001
STOPSIGNAL SIGTERM
# Alive, not ready: a gateway that loads its models or drains is to be left alone.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ['VITRAIL_PORT']), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["vitrail-serve"]
