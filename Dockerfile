# Two stages: the first installs exactly what requirements.txt locks by hash, the second holds only
# Python, those packages and gc-tuner, compiled to bytecode so that nothing is written at run time.
# tests/e2e/testbed/image.py reads this file, and carries it out where there is no container engine.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.txt ./
# The asynchronous twin of the Kubernetes client is a third of it all, and nothing imports it.
RUN python3 -m venv /opt/gc-tuner \
 && /opt/gc-tuner/bin/pip install --require-hashes --no-compile --requirement requirements.txt \
 && /opt/gc-tuner/bin/pip uninstall --yes pip setuptools \
 && rm -r /opt/gc-tuner/lib/python3*/site-packages/kubernetes/aio \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/gc-tuner/lib \
 && chmod -R a+rX,go-w /opt/gc-tuner
COPY tuner ./tuner
COPY config/default.yaml /etc/gc-tuner/config.yaml
# Whatever the modes in the checkout, any uid can read it.
RUN cp -r tuner /opt/gc-tuner/lib/python3*/site-packages/ \
 && cd /opt/gc-tuner/lib/python3*/site-packages \
 && python3 -m compileall -q --invalidation-mode unchecked-hash tuner \
 && chmod -R a+rX,go-w tuner /etc/gc-tuner

FROM ${PYTHON_IMAGE}
# Nothing is written below /: the root file system can be mounted read-only, under any uid.
ENV PATH=/opt/gc-tuner/bin:$PATH HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/gc-tuner /opt/gc-tuner
COPY --from=build /etc/gc-tuner /etc/gc-tuner
USER 65532:65532
EXPOSE 8080
# For engines that look at it; Kubernetes has probes of its own. http.port of a file is not known here.
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('GC_TUNER_HTTP__PORT', '8080')), timeout=5); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "tuner"]
CMD ["run", "--config", "/etc/gc-tuner/config.yaml"]
