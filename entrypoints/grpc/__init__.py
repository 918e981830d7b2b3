"""The gRPC door: the use cases of the REST API, over protocol buffers."""
