# sandboxd: the only holder of the container engine.
ARG BASE
FROM ${BASE}
CMD ["sandboxd"]
