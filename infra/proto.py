"""Generate the gRPC code from proto/: `python -m infra.proto`, or `just proto`.

The generator names the stubs after the path of the .proto file; here they live in a package of
their own, so one import is rewritten.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "proto"
PROTO = Path("soma", "v1", "memory.proto")
PACKAGE = ROOT / "entrypoints" / "grpc" / "wire"
NAMES = ("memory_pb2.py", "memory_pb2.pyi", "memory_pb2_grpc.py")

_GENERATED_IMPORT = "from soma.v1 import memory_pb2 as"
_REAL_IMPORT = "from entrypoints.grpc.wire import memory_pb2 as"


def generated() -> dict[str, str]:
    """Return the generated files by name; raise `RuntimeError` when the generator refuses."""
    import grpc_tools
    from grpc_tools import protoc

    standard = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        code = protoc.main(["protoc", f"-I{SOURCE}", f"-I{standard}", *outputs, str(PROTO)])
        if code:
            raise RuntimeError(f"protoc ended with {code}")
        texts = {name: (Path(folder) / PROTO.parent / name).read_text() for name in NAMES}
    texts["memory_pb2_grpc.py"] = texts["memory_pb2_grpc.py"].replace(
        _GENERATED_IMPORT, _REAL_IMPORT
    )
    return texts


def main() -> int:
    """Write the files, or with --check compare them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args()
    stale = []
    for name, text in generated().items():
        path = PACKAGE / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not options.check:
                path.write_text(text)
    if stale and options.check:
        print(f"not current: {', '.join(stale)} (run `just proto`)", file=sys.stderr)
        return 1
    print("written: " + ", ".join(stale) if stale else "everything is current")
    return 0


if __name__ == "__main__":
    sys.exit(main())
