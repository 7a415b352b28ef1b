# The gateway: people, REST, streams, the web UI.
ARG BASE
FROM ${BASE}
COPY . /opt/hypercode/app/hypercode/gateway/_static
CMD ["gateway"]
