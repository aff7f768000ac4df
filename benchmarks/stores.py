"""``make bench-stores``: how much memory a value of 1 GiB takes on its way to S3 and back, over its own size.

The server is SeaweedFS, started for this. Each way is measured in a process of its own, by the kernel's high-water
mark.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import orchord as o
from orchord.embedded.processes import free_port, spawn

VALUE_BYTES = 1 << 30
MOST = 1.3
REPORT = Path(__file__).parents[1] / ".benchmarks" / "stores.json"
KEY, SECRET, BUCKET = "bench-key", "bench-secret-value", "bench"
START_SECONDS = 60.0


class Memory:
    """A value that gives pickle its memory, as arrays and data frames do."""

    def __init__(self, held: bytearray) -> None:
        self.held = held

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Memory, (pickle.PickleBuffer(self.held),)


VALUES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"\x01" * VALUE_BYTES,
    "array": lambda: Memory(bytearray(b"\x01") * VALUE_BYTES),
}


def peak_bytes() -> int:
    """Return the most memory that this process has had since ``forget_peak``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status does not tell the high-water mark")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def measure(url: str, kind: str, way: str) -> None:
    """Store a value, or load it; print the seconds and the peak. Runs in a process of its own."""
    s3 = o.S3Resource(endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=SECRET)
    manager = o.PickledObjectS3IOManager(BUCKET, s3)
    output = o.build_output_context(step_key=kind, name="result", run_id="bench")
    value = VALUES[kind]() if way == "store" else None
    forget_peak()
    began = time.perf_counter()
    if way == "store":
        manager.handle_output(output, value)
    else:
        value = manager.load_input(o.build_input_context(name="value", upstream_output=output))
    seconds, peak = time.perf_counter() - began, peak_bytes()
    held = value if isinstance(value, bytes) else value.held
    assert len(held) == VALUE_BYTES
    assert held[-1] == 1
    print(json.dumps({"seconds": round(seconds, 2), "peak_over_value": round(peak / VALUE_BYTES, 3)}))


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start SeaweedFS, and make the bucket."""
    ports = {name: free_port() for name in ("s3", "filer", "master", "volume")}
    argv = [str(Path(sys.executable).parent / "weed"), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    argv += [f"-dir={folder}", "-s3", "-filer", "-volume.max=200", "-master.volumeSizeLimitMB=64"]
    argv += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    argv += [f"-{name}.port={port}" for name, port in ports.items()]
    argv += [f"-{name}.port.grpc={free_port()}" for name in ports]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with (folder / "server.log").open("wb") as log:
        server = spawn(argv, output=log, environment=environment, directory=folder)
    url = f"http://127.0.0.1:{ports['s3']}"
    client = o.S3Resource(
        endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET, max_attempts=1
    ).get_client()
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"1")
            return server, url
        except Exception as error:
            if time.monotonic() > deadline or server.poll() is not None:
                raise SystemExit(f"SeaweedFS did not start: {error}; see {folder}/server.log") from error
            time.sleep(0.2)


def main() -> int:
    """Measure all, show them, and keep them; return 1 where a figure is above what is required."""
    if len(sys.argv) > 1:
        measure(*sys.argv[1:])
        return 0
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="orchord-bench-stores-") as folder:
        server, url = start_server(Path(folder))
        try:
            for kind in VALUES:
                for way in ("store", "load"):
                    done = subprocess.run(
                        [sys.executable, __file__, url, kind, way], check=True, capture_output=True, text=True
                    )
                    found[f"{kind}, {way}"] = json.loads(done.stdout)
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    table = Table("1 GiB on S3", "seconds", "peak memory / value", f"required <= {MOST}")
    for name, figures in found.items():
        peak = figures["peak_over_value"]
        table.add_row(name, f"{figures['seconds']:.1f}", f"{peak:.3f}", "met" if peak <= MOST else "MISSED")
    Console().print(table)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=2))
    return int(any(figures["peak_over_value"] > MOST for figures in found.values()))


if __name__ == "__main__":
    sys.exit(main())
