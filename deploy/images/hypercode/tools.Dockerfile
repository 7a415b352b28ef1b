# tools: MCP for agents, and the platform's own work.
ARG BASE
FROM ${BASE}
CMD ["tools"]
