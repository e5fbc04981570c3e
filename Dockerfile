# mtkd on the CPU, with the two commands of the README.
#
#   docker build --tag mtkd .                                  # install
#   docker run --rm mtkd                                       # mtkd distill digits
#   docker run --rm -v "$PWD:/work" mtkd distill mine.yaml     # your own recipe
#   docker build --target test .                               # install for development and pass the tests
FROM python:3.12-slim AS source
# Builds of torch without CUDA.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu PIP_NO_CACHE_DIR=1
WORKDIR /mtkd
COPY . .

FROM source AS test
RUN apt-get update && apt-get install --yes --no-install-recommends chromium git
RUN python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest -n 2 --dist loadfile

FROM source AS mtkd
RUN python3 -m venv .venv && .venv/bin/pip install .
# Recorded outputs and fitted teachers are kept in a volume.
ENV MTKD_STORE=/store
VOLUME /store
WORKDIR /work
ENTRYPOINT ["/mtkd/.venv/bin/mtkd"]
CMD ["distill", "digits"]
