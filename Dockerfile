# advgen with the packages of requirements.lock, including torch for CPU and CUDA. For the CV alone, use pip instead.
#   docker build -t advgen .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/study" advgen init my-study
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/my-study:/study" --gpus all --shm-size 1g advgen run
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/advgen
COPY requirements.lock ./
RUN /opt/advgen/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY setup.py MANIFEST.in pyproject.toml README.md LICENSE Snakefile ./
COPY workflow workflow
COPY profiles profiles
COPY config config
COPY src src
COPY plugins plugins
RUN /opt/advgen/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
COPY --from=build /opt/advgen /opt/advgen
# the home folder is writable for any user ID, because of --user
RUN useradd --uid 1000 --home-dir /home/advgen --create-home advgen \
    && chmod 1777 /home/advgen \
    && install --directory --mode 1777 /study
ENV PATH=/opt/advgen/bin:$PATH \
    HOME=/home/advgen \
    USER=advgen
USER 1000
WORKDIR /study
ENTRYPOINT ["advgen"]
CMD ["--help"]
