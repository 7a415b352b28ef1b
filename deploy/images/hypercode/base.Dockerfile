# What all our images share: the libraries and this project, compiled, for an unprivileged user.
# Made by ../build, which puts core/ and app/ together. Nothing is fetched here, so it builds without a network.
ARG BASE=python:3.13-slim
FROM ${BASE}
COPY core /opt/hypercode/core
COPY app /opt/hypercode/app
COPY healthcheck.py /opt/hypercode/healthcheck.py
RUN ["python3", "-m", "compileall", "-q", "/opt/hypercode"]
ENV PYTHONPATH=/opt/hypercode/app:/opt/hypercode/core \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HYPERCODE_DATA_DIR=/data
# Fresh volumes take the owner of the place they are mounted at.
RUN ["install", "-d", "-o", "10001", "-g", "10001", "-m", "0700", "/data", "/data/artifacts"]
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["python3", "-m", "hypercode"]
