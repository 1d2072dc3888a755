# Two stages: the first installs exactly what requirements.txt locks by hash, the second holds only
# Python, those packages and gc-tuner, compiled to bytecode so that nothing is written at run time.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/gc-tuner
COPY requirements.txt ./
RUN /opt/gc-tuner/bin/pip install --require-hashes --no-compile --requirement requirements.txt
COPY tuner ./tuner
RUN cp -r tuner "$(/opt/gc-tuner/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && /opt/gc-tuner/bin/pip uninstall --yes pip setuptools \
 && python -m compileall --quiet --invalidation-mode unchecked-hash /opt/gc-tuner/lib

FROM ${PYTHON_IMAGE}
# Nothing is written below /: the root file system can be mounted read-only, under any uid.
ENV PATH=/opt/gc-tuner/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
COPY --from=build /opt/gc-tuner /opt/gc-tuner
COPY config/default.yaml /etc/gc-tuner/config.yaml
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "tuner"]
CMD ["run", "--config", "/etc/gc-tuner/config.yaml"]
