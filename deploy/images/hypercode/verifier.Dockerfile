# verifier: checks results, and signs what it saw.
ARG BASE
FROM ${BASE}
CMD ["verifier"]
