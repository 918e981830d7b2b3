"""Generated from proto/soma/v1/memory.proto by `just proto`."""
