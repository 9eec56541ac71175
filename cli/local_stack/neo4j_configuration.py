"""The configuration and the Java options of the managed Neo4j.

Started from its jars, Neo4j lacks the configuration that its packages bring, and any read
transaction could read local files by `LOAD CSV`. What is written here closes that: an empty import
folder, no file URLs, no address that `LOAD CSV` may call, loopback only, a password always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .paths import write_private
from .ports import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from .endpoints import Endpoints

# Those of Neo4j's own start script for Java 17 and 21.
JVM_OPTIONS = (
    "-XX:+UseG1GC",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:+TrustFinalNonStaticFields",
    "-XX:+DisableExplicitGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djdk.nio.maxCachedBufferSize=1024",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Djdk.tls.ephemeralDHKeySize=2048",
    "-Djdk.tls.rejectClientInitiatedRenegotiation=true",
    "-Dlog4j2.disable.jmx=true",
    "-Dlog4j.layout.jsonTemplate.maxStringLength=32768",
    "-Djava.awt.headless=true",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-modules=jdk.incubator.vector",
)


@dataclass(frozen=True, slots=True)
class Neo4jMemory:
    """How much memory the managed Neo4j takes, in MiB."""

    heap_mb: int = 1024
    page_cache_mb: int = 512
    heap_begins_mb: int = 256

    @property
    def jvm_options(self) -> tuple[str, ...]:
        """The heap, growing from where it begins to its bound."""
        return (f"-Xms{min(self.heap_begins_mb, self.heap_mb)}m", f"-Xmx{self.heap_mb}m")


def configuration(endpoints: Endpoints, memory: Neo4jMemory, transaction_timeout_s: int) -> str:
    """The text of `neo4j.conf`."""
    bolt = f"{LOOPBACK}:{endpoints.bolt_port}"
    browser = f"{LOOPBACK}:{endpoints.browser_port}"
    lines = (
        f"server.default_listen_address={LOOPBACK}",
        f"server.default_advertised_address={LOOPBACK}",
        f"server.bolt.listen_address={bolt}",
        f"server.bolt.advertised_address={bolt}",
        "server.bolt.tls_level=DISABLED",
        f"server.http.listen_address={browser}",
        f"server.http.advertised_address={browser}",
        "server.https.enabled=false",
        "server.config.strict_validation.enabled=true",
        "server.directories.import=import",
        "dbms.security.auth_enabled=true",
        "dbms.security.allow_csv_import_from_file_urls=false",
        "internal.dbms.cypher_ip_blocklist=0.0.0.0/0,::/0",
        f"db.transaction.timeout={transaction_timeout_s}s",
        "db.tx_log.rotation.retention_policy=1 days 512M",
        f"server.memory.pagecache.size={memory.page_cache_mb}m",
        "dbms.usage_report.enabled=false",
        "client.allow_telemetry=false",
    )
    return "\n".join(lines) + "\n"


def write_configuration(home: Path, text: str) -> Path:
    """Write `neo4j.conf` below `home`, beside an empty import folder; return the conf folder."""
    folder = home / "conf"
    for needed in (home, folder, home / "import"):
        needed.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(folder / "neo4j.conf", text)
    return folder
