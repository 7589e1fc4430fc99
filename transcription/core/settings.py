"""Every environment variable of the service, in one typed object, validated at start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from transcription import __version__
from transcription.core import setting_rules
from transcription.core.default_folders import default_cache, default_jobs
from transcription.core.options import EncoderContext
from transcription.core.pool_settings import PoolSettings


class Settings(PoolSettings):
    """One field per environment variable; the variable's name is the field's name in upper case."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    # Application
    app_name: str = Field("transcription-service", description="Service name in logs and in the OpenAPI document.")
    app_version: str = Field(__version__, description="Version in /health and in the OpenAPI document.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", description="Lowest level that is logged."
    )

    # Server
    host: str = Field("0.0.0.0", description="Address to listen on.")
    port: int = Field(3000, ge=1, le=65535, description="Port to listen on.")
    wyoming_port: int = Field(0, ge=0, le=65_535, description="Port for Wyoming clients, without API keys; 0 for none.")
    root_path: str = Field(
        "", description="Path prefix under which a proxy publishes the service, such as /speech; empty for none."
    )
    workers: int = Field(1, ge=1, le=64, description="Number of API processes. The model runs in a separate process.")
    request_timeout: int = Field(3600, ge=1, le=86_400, description="Time limit of a synchronous request, seconds.")

    # Whisper
    whisper_model: str = Field(
        "base", description="Default model: a released model or a sub-folder of WHISPER_MODEL_DIR."
    )
    allowed_models: str = Field(
        "",
        description="Models that requests may name besides the default one, comma-separated; * for every known one, "
        "which requests then cause to be downloaded. By default those on disk.",
    )
    whisper_device: str = Field(
        "auto",
        description="Device the model runs on: auto (a GPU if there is one), cpu, cuda (the first GPU), "
        "cuda:0,1 (those GPUs, a copy of the model on each), or cuda:all.",
    )
    whisper_compute_type: Literal["auto", "int8", "int8_float16", "float16", "float32"] = Field(
        "auto", description="Number format of the weights; auto is int8 on a CPU and float16 on a GPU."
    )
    whisper_model_dir: Path = Field(
        default_factory=lambda: default_cache() / "models", description="Folder with one sub-folder per model."
    )
    whisper_layout: str = Field(
        "auto",
        description="auto (derived from the cores, then measured while idle), latency, throughput, or "
        "SLOTSxTHREADSxBATCH such as 2x1x4.",
    )
    encoder_context: EncoderContext = Field(
        EncoderContext.AUTO,
        description="auto encodes the speech and some silence, and 30 s if the result is doubtful; full always 30 s.",
    )
    max_loaded_models: int = Field(
        3, ge=1, le=32, description="Models kept in memory; the least recently used one is evicted first."
    )
    max_queue_seconds: int = Field(
        300, ge=1, le=86_400, description="Longest estimated wait at which new requests are accepted, seconds."
    )
    batch_timeout: int = Field(
        120,
        ge=1,
        le=3600,
        description="Seconds any batch may take; one that takes longer, and far longer than usual, is hung.",
    )
    watchdog_timeout: int = Field(
        30,
        ge=0,
        le=3600,
        description="Seconds without a sign of life until the model's process is replaced; 0 for never.",
    )
    cache_dir: Path = Field(
        default_factory=default_cache,
        description="Folder for measured layouts and the quarantine of recordings that crashed the model.",
    )

    # Files
    max_file_size: int = Field(
        1_073_741_824, ge=1, le=1_099_511_627_776, description="Maximum size of an upload, bytes (1 GiB)."
    )
    max_duration: int = Field(3600, ge=1, le=86_400, description="Maximum duration of a recording, seconds.")
    strict_media_types: bool = Field(
        True,
        description="Refuse a file on /transcribe whose name or declared type contradicts its content; if false, the "
        "header X-Transcription-Warnings says so.",
    )
    temp_dir: Path = Field(Path("/tmp/transcription"), description="Contains the service's own folder for uploads.")
    cleanup_interval: int = Field(
        3600,
        ge=1,
        le=604_800,
        description="Interval between sweeps, which delete uploads that crashed processes left, seconds.",
    )
    min_free_disk: int = Field(
        268_435_456,
        ge=0,
        le=1_152_921_504_606_846_976,
        description="Free space below which new work is refused and /health/ready is 503, bytes.",
    )
    ffmpeg_path: Path | None = Field(
        None, description="Path of ffmpeg; by default the system's, otherwise the one in the package imageio-ffmpeg."
    )
    decode_timeout: int = Field(600, ge=1, le=86_400, description="Time limit of ffmpeg per file, seconds.")
    decode_memory_limit: int = Field(
        1_610_612_736,
        ge=134_217_728,
        le=68_719_476_736,
        description="Address space limit of an ffmpeg process, bytes (1.5 GiB).",
    )

    # Limits
    enable_rate_limit: bool = Field(
        True, description="Limit requests per API key, or per address for requests without one."
    )
    rate_limit_per_minute: int = Field(
        30, ge=1, le=1_000_000, description="Uploads per minute for each client, unless its key has a limit of its own."
    )
    rate_limit_reads_per_minute: int = Field(
        600,
        ge=1,
        le=1_000_000,
        description="Other requests per minute for each client, unless its key has a limit of its own.",
    )
    max_client_uploads: int = Field(16, ge=1, le=10_000, description="Concurrent uploads of one client.")
    max_client_bytes: int = Field(
        4_294_967_296,
        ge=1,
        le=1_125_899_906_842_624,
        description="Total size of the concurrent uploads of one client, bytes (4 GiB).",
    )
    max_client_streams: int = Field(100, ge=1, le=1_000_000, description="Concurrent event streams of one client.")
    max_streams: int = Field(2000, ge=1, le=1_000_000, description="Concurrent event streams of one API process.")
    max_live_sessions: int = Field(64, ge=0, le=10_000, description="Live sessions of one API process; 0 for none.")
    max_client_live_sessions: int = Field(8, ge=1, le=10_000, description="Live sessions of one client.")
    max_client_live_minutes: int = Field(480, ge=1, le=600_000, description="Live audio of a client per hour, minutes.")
    max_rendered_bytes: int = Field(
        67_108_864, ge=1_048_576, le=1_099_511_627_776, description="Memory for results being read, bytes (64 MiB)."
    )
    download_timeout: int = Field(
        30, ge=1, le=3600, description="Longest pause of a client that reads a response, seconds."
    )
    trusted_proxies: str = Field(
        "",
        description="Proxies whose X-Forwarded-For, -Host and -Prefix are trusted: addresses and networks, "
        "comma-separated.",
    )
    redis_url: str = Field(
        "",
        repr=False,
        description="Redis for rate limits shared by all API processes; by default CELERY_BROKER_URL.",
    )

    # Overload
    memory_limit_percent: int = Field(
        90, ge=1, le=100, description="Share of the container's memory in use above which new work is refused, percent."
    )

    # Jobs
    enable_async: bool = Field(True, description="Accept jobs; if false, async=true answers 501.")
    jobs_dir: Path = Field(
        default_factory=default_jobs,
        description="Folder for the database and the recordings of jobs; needs persistent storage.",
    )
    job_result_ttl: int = Field(
        86_400, ge=1, le=315_360_000, description="Time a finished job and its result are kept, seconds."
    )
    job_retries: int = Field(
        3, ge=0, le=100, description="Retries after internal failures; a job with an invalid file is not retried."
    )
    job_concurrency: int = Field(4, ge=1, le=64, description="Concurrent jobs per API process or Celery worker.")
    max_open_jobs: int = Field(
        1000, ge=1, le=1_000_000, description="Unfinished jobs of one API key; without keys, of all clients together."
    )
    job_timeout: int = Field(
        14_400, ge=1, le=604_800, description="Time limit of one attempt of a job, seconds; after it the job fails."
    )
    job_backend: Literal["sqlite", "celery"] = Field(
        "sqlite", description="sqlite for one machine; celery for several, with Redis and Celery workers."
    )
    celery_broker_url: str = Field("", repr=False, description="Redis for Celery's messages; by default REDIS_URL.")
    celery_result_backend: str = Field(
        "", repr=False, description="Redis for jobs and their results; by default CELERY_BROKER_URL."
    )
    spool_url: str = Field(
        "",
        repr=False,
        description="Storage for the recordings of jobs: a folder, or an fsspec URL such as s3://BUCKET/PATH.",
    )
    max_result_in_redis: int = Field(16_384, ge=0, le=2**29, description="Largest compressed result in Redis, bytes.")
    enable_cache: bool = Field(True, description="Answer repeated requests from stored results for JOB_RESULT_TTL.")
    task_queue: Literal["own", "platform"] = Field(
        "own", description="Queue of BentoML's tasks: own for this service's jobs, platform for BentoCloud's queue."
    )
    webhook_secret: str = Field(
        "",
        repr=False,
        description="Key for signing callbacks, at least 32 characters; without it callback_url is refused.",
    )
    webhook_allow: str = Field(
        "", description="Hosts and networks allowed for callbacks besides public https, comma-separated."
    )
    webhook_timeout: int = Field(
        10, ge=1, le=300, description="Time limit of one delivery attempt of a callback, seconds."
    )

    # Metrics
    metrics_port: int = Field(
        9090,
        ge=0,
        le=65535,
        description="Port on which Celery workers and the queue exporter serve /metrics; 0 for none.",
    )

    # URL input
    enable_url_input: bool = Field(True, description="Accept URLs of recordings (the parameter url).")
    url_allow: str = Field("", description="Hosts and networks allowed for url besides public https, comma-separated.")

    # Access
    enable_api_key: bool = Field(False, description="Require an API key on every route except the probes.")
    api_key: str = Field("", repr=False, description="A single API key, at least 32 characters.")
    api_keys_file: Path | None = Field(
        None, description="TOML file with several API keys, as hashes with names; reloaded when it changes."
    )
    client_secret_key: str = Field(
        "",
        repr=False,
        description="Key for signing the client secrets of /v1/realtime, at least 32 characters; by default a new one "
        "at each start.",
    )
    protect_probes: bool = Field(
        False, description="Require an API key on /health, /metrics and the other probes as well."
    )
    allowed_hosts: str = Field(
        "",
        description="Host names of the service besides addresses, single-label and private names, comma-separated; "
        "*.example.com for subdomains, * for all.",
    )
    cors_origins: str = Field(
        "",
        description="Origins of other sites' pages that may use the service, comma-separated; * for all, empty for "
        "none.",
    )
    upload_timeout: int = Field(30, ge=1, le=3600, description="Longest pause of an upload, seconds.")
    min_upload_rate: int = Field(
        1000,
        ge=0,
        le=1_000_000_000,
        description="Minimum average rate of an upload after UPLOAD_TIMEOUT, bytes per second; 0 for no minimum.",
    )

    @property
    def origins(self) -> list[str]:
        """CORS_ORIGINS as a list."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def allowed_model_names(self) -> frozenset[str]:
        """ALLOWED_MODELS as a set; empty for the default."""
        return frozenset(name.strip() for name in self.allowed_models.split(",") if name.strip())

    @property
    def broker_url(self) -> str:
        """The Redis for Celery's messages."""
        return self.celery_broker_url or self.redis_url

    @property
    def limits_redis_url(self) -> str:
        """The Redis that holds the rate limits; empty if each process counts on its own."""
        return self.redis_url or (self.broker_url if self.job_backend == "celery" else "")

    @property
    def jobs_redis_url(self) -> str:
        """The Redis for jobs if JOB_BACKEND is celery."""
        return self.celery_result_backend or self.broker_url

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("whisper_device", "whisper_compute_type", "whisper_layout", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    _device = field_validator("whisper_device")(setting_rules.device)
    _layout = field_validator("whisper_layout")(setting_rules.layout)
    _secret = field_validator("webhook_secret", "client_secret_key")(setting_rules.secret)
    _path_prefix = field_validator("root_path")(setting_rules.path_prefix)
    _model_names = field_validator("allowed_models")(setting_rules.model_names)
    _networks = field_validator("trusted_proxies")(setting_rules.networks)
    _redis = field_validator("redis_url", "celery_broker_url", "celery_result_backend")(setting_rules.redis_server)

    @model_validator(mode="after")
    def _servers_of_celery(self) -> Self:
        if self.job_backend == "celery" and not self.broker_url:
            raise ValueError("JOB_BACKEND=celery needs REDIS_URL, or CELERY_BROKER_URL")
        return self

    @field_validator("whisper_model_dir", "cache_dir", "temp_dir", "jobs_dir")
    @classmethod
    def _absolute(cls, value: Path, field: ValidationInfo) -> Path:
        # Links on the way to TEMP_DIR stay, because those of other users are refused.
        path = value.expanduser()
        return path.absolute() if field.field_name == "temp_dir" else path.resolve()


class InvalidSettings(SystemExit):
    """Stops the start of the process. The message names every invalid variable."""


def load_settings() -> Settings:
    """Read the environment and `.env`.

    Raises InvalidSettings, which names every invalid variable with the reason.
    """
    try:
        return Settings()
    except RuntimeError:  # of pathlib
        raise InvalidSettings(
            "Invalid settings:\n  HOME is not set, and this user has no home folder. Set HOME, or JOBS_DIR, CACHE_DIR "
            "and WHISPER_MODEL_DIR, without ~."
        ) from None
    except ValidationError as error:
        problems = []
        for item in error.errors():
            if not item["loc"]:  # a rule about several variables; its input holds all of them, secrets included
                problems.append(f"  {item['msg']}")
                continue
            name = "_".join(str(part) for part in item["loc"])
            field = Settings.model_fields.get(name)
            value = repr(item["input"]) if field is None or field.repr else "..."  # secrets stay out of the log
            problems.append(f"  {name.upper()}={value}: {item['msg']}")
        raise InvalidSettings("Invalid settings:\n" + "\n".join(problems)) from None
