"""What can be set, with the defaults. Names carry the units."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from graph import addresses
from graph.settings.choices import (
    DocumentsMode,
    ExecutionMode,
    LogFormat,
    LogLevel,
    Profile,
    TokenBucketMode,
)
from graph.settings.kinds import (
    DatabaseUrl,
    DatabaseUrls,
    HeaderNames,
    KeysUrl,
    Names,
    Networks,
    Origins,
    RolePairs,
    Seconds,
    Secret,
)

# The issuer of `graph token` (`graph.development`).
DEVELOPMENT_ISSUER = "graph-development"

# The defaults of a profile, where they differ from those of `Settings`.
_PROFILE_DEFAULTS: dict[Profile, dict[str, Any]] = {
    Profile.DEVELOPMENT: {},
    Profile.PRODUCTION: {
        "introspection": False,
        "suggestions": False,
        "graphiql": False,
        "explain": False,
        "cost_capacity": 200_000,
    },
}


class Settings(BaseSettings):
    """The settings of one process; frozen, and safe to print (the URL is a secret)."""

    model_config = SettingsConfigDict(env_prefix="GRAPH_", frozen=True, env_ignore_empty=True)

    profile: Profile = Profile.DEVELOPMENT
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    log_level: LogLevel = LogLevel.INFO
    # None is text on a terminal, and JSON otherwise.
    log_format: LogFormat | None = None
    # Where Prometheus reads metrics. Without a port there are none. Of several workers each takes
    # the next free port.
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)

    # From when on an operation is logged as a slow one, and how many of those are explained; 0
    # means none.
    slow_ms: int = Field(default=1_000, ge=0, le=86_400_000)
    slow_plans_per_minute: int = Field(default=6, ge=0, le=600)
    # Whether requests are traced; OpenTelemetry's own variables tell how.
    traces: bool = False
    # How often each worker stores which fields and operations clients use; 0 counts none.
    usage_seconds: float = Field(default=60, ge=0, le=86_400, allow_inf_nan=False)

    # None means embedded: graph starts its own PostgreSQL in `data_dir`.
    database_url: DatabaseUrl | None = None
    data_dir: Path = Path(".graph")
    # Replicas of that database, which answer reads; one that lags more is not read, and 0 admits
    # any lag.
    replica_urls: DatabaseUrls = ()
    max_replica_lag_seconds: float = Field(default=60, ge=0, le=86_400, allow_inf_nan=False)
    pool_size: int = Field(default=10, ge=1, le=1000)
    pool_timeout_seconds: Seconds = 10
    # A connection that has been open for longer is replaced before its next use.
    pool_recycle_seconds: Seconds = 1800
    connect_timeout_seconds: Seconds = 5
    statement_timeout_seconds: Seconds = 10

    # The longest time for one operation, and for a client to send a request or read the response.
    operation_timeout_seconds: Seconds = 15
    client_timeout_seconds: Seconds = 10
    # After SIGTERM, the time in which balancers learn that this process is not ready any more.
    drain_seconds: float = Field(default=0, ge=0, le=86_400, allow_inf_nan=False)
    # Connections: how long an idle one is kept (longer than proxies keep theirs: 60 s), and bounds
    # by worker and by address. A head is a request line and its header fields.
    keep_alive_seconds: int = Field(default=75, ge=1, le=86_400)
    max_connections: int = Field(default=1_000, ge=1)
    max_connections_per_address: int = Field(default=256, ge=1)
    max_head_bytes: int = Field(default=65_536, ge=1_024)
    max_head_fields: int = Field(default=100, ge=10)
    # Live connections are WebSockets and HTTP responses that stay open: how many a worker and a
    # client may hold, and how many subscriptions on them. How often a client of a WebSocket must
    # answer, and whether its messages are compressed (46 KB for each connection).
    max_live_connections: int = Field(default=800, ge=1)
    max_live_connections_per_client: int = Field(default=100, ge=1)
    max_subscriptions: int = Field(default=10_000, ge=1)
    max_subscriptions_per_client: int = Field(default=1_000, ge=1)
    max_subscriptions_per_connection: int = Field(default=100, ge=1)
    ping_seconds: float = Field(default=20, ge=0.1, le=3_600)
    compress_sockets: bool = False
    # Operations that each worker runs at once, and those that wait: their number, and how long a
    # client's first one may have waited before the client's others are refused. An operation is
    # expensive from `expensive_cost` on, or when its statements take longer, and fewer of those
    # run at once.
    max_in_flight: int = Field(default=64, ge=1)
    max_waiting: int = Field(default=1_000, ge=0)
    max_wait_ms: int = Field(default=1_000, ge=1, le=86_400_000)
    expensive_cost: int = Field(default=1_000, ge=1)
    expensive_after_ms: int = Field(default=250, ge=1, le=86_400_000)
    max_expensive: int = Field(default=2, ge=1)
    # The most that one statement may write to temporary files, where the role may set the limit.
    max_temp_megabytes: int = Field(default=256, ge=1, le=2_000_000)

    execution: ExecutionMode = ExecutionMode.COMPILED
    # The lifetime of an idempotency key and of the answer stored with it.
    idempotency_key_hours: float = Field(default=24, ge=0.001, le=87_600)
    # The longest time that a repeated request waits for the first one to end.
    idempotency_wait_seconds: Seconds = 2
    # How long events are kept; without it `graph serve` prunes none. And how far back those who
    # follow the events may resume, which history does not depend on.
    events_kept_days: float | None = Field(default=None, ge=0.001, le=36_500)
    replay_events: int = Field(default=1_000_000, ge=0)
    replay_hours: float = Field(default=168, ge=0, le=876_000)
    # Networks that webhooks may send to beside the internet, separated by commas; and how long a
    # message may fail until its webhook is paused.
    webhook_networks: Networks = ()
    webhook_pause_hours: float = Field(default=24, ge=0.001, le=8_760)
    max_body_bytes: int = Field(default=1_048_576, ge=1024)

    # The limits of a document (`graph.execution.documents.limits`).
    max_document_bytes: int = Field(default=100_000, ge=100)
    max_tokens: int = Field(default=5_000, ge=10)
    max_selections: int = Field(default=1_000, ge=10)
    max_depth: int = Field(default=20, ge=1, le=150)
    max_aliases: int = Field(default=100, ge=0)
    max_root_fields: int = Field(default=50, ge=1)
    max_directives: int = Field(default=50, ge=0)
    max_fragments: int = Field(default=100, ge=0)
    max_operations: int = Field(default=10, ge=1)
    # Enough for the 1,000 rows of the largest mutation.
    max_variables_bytes: int = Field(default=500_000, ge=100)
    # The most that one operation may cost, and the capacity and refill rate of each client's
    # token bucket. Without a capacity clients are not rate limited.
    max_cost: int = Field(default=20_000, ge=1)
    # The same for the rows that its lists look at, about one for each microsecond.
    max_scan_cost: int = Field(default=150_000, ge=1)
    cost_capacity: int | None = Field(default=None, ge=1, le=10**12)
    cost_per_second: int = Field(default=5_000, ge=1)
    # What a millisecond of an operation's statements costs at least, charged afterwards.
    cost_per_ms: int = Field(default=10, ge=0, le=1_000_000)
    token_buckets: TokenBucketMode = TokenBucketMode.MEMORY
    # Networks of proxies whose X-Forwarded-For is trusted, separated by commas.
    trusted_proxies: Networks = ()
    documents: DocumentsMode = DocumentsMode.APQ
    documents_manifest: Path | None = None
    # Whether the operations of the manifest are tools of the Model Context Protocol, at /mcp; and
    # the sign-in of `graph mcp` over stdio.
    mcp: bool = False
    mcp_token: SecretStr | None = None
    # The most requests in one batch; 0 disables batches.
    max_batch: int = Field(default=0, ge=0, le=100)
    # The largest answer to one operation.
    max_answer_bytes: int = Field(default=10_000_000, ge=1_024, le=1_000_000_000)
    # The smallest response that is compressed for clients that accept it; 0 disables compression.
    compress_from_bytes: int = Field(default=1_000, ge=0)
    introspection: bool = True
    suggestions: bool = True
    graphiql: bool = True
    # Whether operations are explained to everybody who asks; else to viewers with the permission.
    explain: bool = True

    # Sign-in by bearer tokens (JWT): the issuer and the audience that tokens must name, and the
    # issuer's keys at a URL, or a secret that is shared with it.
    jwt_issuer: str | None = Field(default=None, pattern=r"^\S{1,200}$")
    jwt_audience: str | None = None
    jwt_jwks_url: KeysUrl | None = None
    jwt_secret: Secret | None = None
    jwt_leeway_seconds: float = Field(default=30, ge=0, le=300)
    # The claim with the role, or with several; values that are called otherwise than roles, as
    # `value=role`; the role without a known value; and the claim with the key of the viewer's row.
    jwt_role_claim: str = "role"
    jwt_roles: RolePairs = ()
    jwt_default_role: str = "customer"
    jwt_own_claim: str = "customer_id"
    # The role of clients that do not sign in: `manager` in development, `anonymous` in production.
    anonymous_role: str | None = None

    # Host names that requests may be for, separated by commas; `*` for any. Where none is set, a
    # server that listens on a loopback address in development answers for loopback names only.
    allowed_hosts: Names = ()
    # Origins whose pages may call the API, separated by commas; `*` admits all, empty none.
    cors_origins: Origins = ()
    # Whether those pages may send cookies and credentials of HTTP, for a proxy in front that needs
    # them; and the response headers that their scripts may read.
    cors_credentials: bool = False
    cors_exposed_headers: HeaderNames = (
        "ETag",
        "Retry-After",
        "Server-Timing",
        "WWW-Authenticate",
        "X-Consistency-Token",
        "X-Request-ID",
    )

    @property
    def database_address(self) -> str:
        """The database's host, port and name, without the password; or "embedded"."""
        return "embedded" if self.database_url is None else addresses.shown(self.database_url)

    @property
    def replica_addresses(self) -> tuple[str, ...]:
        """As `database_address`, of each replica."""
        return tuple(map(addresses.shown, self.replica_urls))

    def environment(self) -> dict[str, str]:
        """The environment variables that give another process the same settings."""
        secrets = {
            name: value.get_secret_value() for name, value in self if isinstance(value, SecretStr)
        }
        replicas = [url.get_secret_value() for url in self.replica_urls]
        values = self.model_dump(mode="json") | secrets | {"replica_urls": replicas}
        return {f"GRAPH_{name.upper()}": _as_text(value) for name, value in values.items()}

    @model_validator(mode="before")
    @classmethod
    def _with_profile_defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        try:
            profile = Profile(values.get("profile", Profile.DEVELOPMENT))
        except ValueError:
            return values  # the validation of the fields refuses it
        return _PROFILE_DEFAULTS[profile] | values

    @model_validator(mode="after")
    def _bucket_holds_one_operation(self) -> Self:
        if self.cost_capacity is not None and self.cost_capacity < self.max_cost:
            raise ValueError(
                "GRAPH_COST_CAPACITY must not be less than GRAPH_MAX_COST:"
                " the most expensive operations could never run"
            )
        return self

    @model_validator(mode="after")
    def _replicas_of_a_primary(self) -> Self:
        if self.replica_urls and self.database_url is None:
            raise ValueError("GRAPH_REPLICA_URLS needs the URL of the primary, GRAPH_DATABASE_URL")
        return self

    @model_validator(mode="after")
    def _statements_within_operations(self) -> Self:
        if self.operation_timeout_seconds < self.statement_timeout_seconds:
            raise ValueError(
                "GRAPH_OPERATION_TIMEOUT_SECONDS must not be less than"
                " GRAPH_STATEMENT_TIMEOUT_SECONDS"
            )
        return self

    @model_validator(mode="after")
    def _manifest_for_trusted_documents(self) -> Self:
        if self.documents is DocumentsMode.TRUSTED_ONLY and self.documents_manifest is None:
            raise ValueError("GRAPH_DOCUMENTS=trusted-only needs GRAPH_DOCUMENTS_MANIFEST")
        if self.mcp and self.documents_manifest is None:
            raise ValueError("GRAPH_MCP=true needs GRAPH_DOCUMENTS_MANIFEST")
        return self

    @model_validator(mode="after")
    def _one_way_to_verify_tokens(self) -> Self:
        if self.jwt_jwks_url and self.jwt_secret:
            raise ValueError("set GRAPH_JWT_JWKS_URL or GRAPH_JWT_SECRET, not both")
        if self.jwt_issuer == DEVELOPMENT_ISSUER and self.profile is not Profile.DEVELOPMENT:
            raise ValueError(f"GRAPH_JWT_ISSUER must not be {DEVELOPMENT_ISSUER} in production")
        named = (self.jwt_issuer, self.jwt_audience, self.jwt_jwks_url or self.jwt_secret)
        if any(named) and not all(named):
            raise ValueError(
                "GRAPH_JWT_ISSUER, GRAPH_JWT_AUDIENCE and one of GRAPH_JWT_JWKS_URL and"
                " GRAPH_JWT_SECRET belong together: set all of them"
            )
        return self

    @model_validator(mode="after")
    def _credentials_for_known_origins(self) -> Self:
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError(
                "GRAPH_CORS_CREDENTIALS needs origins by name in GRAPH_CORS_ORIGINS, not *"
            )
        return self

    @property
    def role_of_anonymous(self) -> str:
        """The role of clients that do not sign in."""
        is_development = self.profile is Profile.DEVELOPMENT
        return self.anonymous_role or ("manager" if is_development else "anonymous")

    @property
    def max_unproven(self) -> int:
        """Operations of unknown duration that may run at once: at most half of the connections."""
        return max(1, min(self.max_in_flight, self.pool_size // 2))

    @property
    def scan_limit(self) -> int:
        """`max_scan_cost`, or the capacity of a bucket where that is less."""
        return min(self.max_scan_cost, self.cost_capacity or self.max_scan_cost)

    @property
    def live_places(self) -> int:
        """`max_live_connections`, less where few connections would be left for requests."""
        return max(1, min(self.max_live_connections, self.max_connections * 4 // 5))

    @property
    def expensive_places(self) -> int:
        """`max_expensive`, less where a small pool would keep no connection for the others."""
        return max(1, min(self.max_expensive, self.pool_size - self.max_unproven - 1))

    @property
    def served_hosts(self) -> frozenset[str] | None:
        """The host names that requests may be for, in lower case; None for any."""
        if self.allowed_hosts:
            names = frozenset(name.lower() for name in self.allowed_hosts)
            return None if "*" in names else names
        is_local = self.profile is Profile.DEVELOPMENT and self.host in addresses.LOOPBACK
        return frozenset({*addresses.LOOPBACK, self.host}) if is_local else None


def _as_text(value: Any) -> str:
    """The text of an environment variable with this value; empty for None."""
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
