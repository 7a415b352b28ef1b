# The worker: agents and the libraries of model providers, which no other process needs.
ARG BASE
FROM ${BASE}
COPY . /opt/hypercode/llm
USER 0
RUN ["python3", "-m", "compileall", "-q", "/opt/hypercode/llm"]
USER 10001:10001
ENV PYTHONPATH=/opt/hypercode/app:/opt/hypercode/core:/opt/hypercode/llm
CMD ["worker"]
