"""The MCP door: Soma's memory as tools for a model, over stdio and streamable HTTP."""
