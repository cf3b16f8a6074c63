# The image: what the evaluator needs and nothing else. `make image` builds it; docs/image.md explains every step.
#
# Needs build/wheelhouse/<arch> (make wheelhouse): nothing is taken from a package index here. The only network use is
# Debian's package mirror, for python3 and libgomp1. Pin the base by digest: --build-arg BASE=debian@sha256:…
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
ARG ARCH=amd64
# Files that packages leave behind and that differ with every build are removed where they arise.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 python3-pip python3-venv
COPY build/wheelhouse/${ARCH} /wheelhouse
# The environment itself has no pip; the one from Debian fills it. sqlite-utils depends on pip for a command that is
# not part of this program, so pip is in the wheelhouse, and taken out again; so are the commands of the libraries, and
# all of onnxruntime that does not run a model: its tools, what only they import, and its library for C (35 MB).
RUN python3 -m venv --without-pip /opt/mlb-offline/venv \
 && python3 -m pip --python /opt/mlb-offline/venv/bin/python install --no-cache-dir --no-compile --no-index \
      --find-links /wheelhouse --require-hashes --requirement /wheelhouse/requirements.txt \
 && cd /opt/mlb-offline/venv && rm -rf include share \
 && find bin -mindepth 1 ! -name 'python*' ! -name mlb-offline -delete \
 && cd lib/python3*/site-packages \
 && rm -rf include pip pip-*.dist-info llama_cpp/server llama_cpp/lib/pkgconfig llama_cpp/lib/cmake \
      onnxruntime/backend onnxruntime/datasets onnxruntime/quantization onnxruntime/tools onnxruntime/transformers \
      onnxruntime/capi/libonnxruntime.so* google protobuf-*.dist-info flatbuffers flatbuffers-*.dist-info \
      packaging packaging-*.dist-info *.dist-info/RECORD \
 && /opt/mlb-offline/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/mlb-offline/venv/lib
COPY bundles /opt/mlb-offline/bundles
COPY models /opt/mlb-offline/models
COPY build/image/models /opt/mlb-offline/models
# A publisher's or hospital's own judges (*.gguf, and the judges.json in which `judge install --baked` recorded them) and
# bundles (*.mlbb), from folders inside the build context.
ARG EXTRA_MODELS=models
ARG EXTRA_BUNDLES=bundles
COPY ${EXTRA_MODELS} /opt/mlb-offline/models
COPY ${EXTRA_BUNDLES} /opt/mlb-offline/bundles
COPY LICENSE README.md README.zh.md CHANGELOG.md /opt/mlb-offline/

FROM ${BASE}
ARG VERSION=0
ARG REVISION=unknown
# BuildKit reads it, for the times in the image's configuration and, told rewrite-timestamp=true, in its layers.
ARG SOURCE_DATE_EPOCH=0
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 libgomp1 \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/aux-cache /var/log/* \
      /var/lib/dpkg/*-old /usr/share/man/* /usr/share/info/* /usr/share/locale/* /tmp/* /root/.cache /root/.bashrc \
      /root/.profile \
 && find /usr/share/doc -type f ! -name copyright -delete \
 && find / -xdev -name __pycache__ -type d -prune -exec rm -rf {} + \
 && find / -xdev -type f -perm /6000 -exec chmod ug-s {} + \
 && mkdir --mode=1777 /state /work
COPY --from=build /opt/mlb-offline /opt/mlb-offline
COPY deploy/manifest.sh /opt/mlb-offline/manifest.sh
RUN ln -s /opt/mlb-offline/venv/bin/mlb-offline /usr/local/bin/mlb-offline \
 && sh /opt/mlb-offline/manifest.sh / > /opt/mlb-offline/MANIFEST.sha256
ENV MLB_DATA=/opt/mlb-offline MLB_STATE=/state HOME=/tmp LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1 ORT_DISABLE_TELEMETRY=1
LABEL org.opencontainers.image.title="mlb-offline" \
      org.opencontainers.image.description="Offline evaluation of medical language models on the MLB benchmark" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
VOLUME /state
WORKDIR /work
USER 65532:65532
HEALTHCHECK --interval=30m --timeout=60s --retries=1 CMD ["mlb-offline", "doctor", "--egress"]
ENTRYPOINT ["mlb-offline"]
CMD ["--help"]
