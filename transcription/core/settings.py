"""Every environment variable of the service, in one typed object, validated at start."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

EMBEDDED_MODEL_DIR = Path(__file__).resolve().parents[2] / "models"
LAYOUT = re.compile(r"auto|latency|throughput|[1-9]\d*x[1-9]\d*x[1-9]\d*")


def default_cache() -> Path:
    """The user's cache folder, as the XDG base directory specification names it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transcription-service"


def default_jobs() -> Path:
    """The user's data folder, as the XDG base directory specification names it."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "transcription-service" / "jobs"


class Settings(BaseSettings):
    """One field an environment variable; the variable's name is the field's name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    # Application
    app_name: str = Field("transcription-service", description="Name in logs and in the API document.")
    app_version: str = Field("1.0.0", description="Version in /health and in the API document.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", description="Least severe level that is logged."
    )

    # Server
    host: str = Field("0.0.0.0", description="Address to listen on.")
    port: int = Field(3000, ge=1, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="API processes. The model has a process of its own.")
    request_timeout: int = Field(3600, ge=1, description="Longest a synchronous request may take, seconds.")

    # Whisper
    whisper_model: str = Field("base", description="Default model: a size, or a folder in WHISPER_MODEL_DIR.")
    whisper_device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the model runs.")
    whisper_compute_type: Literal["auto", "int8", "int8_float16", "float16", "float32"] = Field(
        "auto", description="Number format of the weights; auto is int8 on a CPU, float16 on a GPU."
    )
    whisper_model_dir: Path = Field(
        default_factory=lambda: default_cache() / "models", description="Folder of models, one sub-folder each."
    )
    whisper_layout: str = Field(
        "auto", description="auto (measured), latency, throughput, or SLOTSxTHREADSxBATCH such as 2x1x4."
    )
    max_loaded_models: int = Field(3, ge=1, le=32, description="Models kept in memory; the oldest unused goes first.")
    max_queue_seconds: int = Field(
        300, ge=1, description="New requests are refused while they would wait longer than this, seconds."
    )
    batch_timeout: int = Field(
        120, ge=1, description="A batch may take at least this long, seconds; much longer, and the process is replaced."
    )
    cache_dir: Path = Field(
        default_factory=default_cache, description="What was learnt about this machine: layouts, recordings that kill."
    )

    # Files
    max_file_size: int = Field(1_073_741_824, ge=1, description="Largest upload, bytes (1 GiB).")
    max_duration: int = Field(3600, ge=1, description="Longest recording, seconds.")
    temp_dir: Path = Field(Path("/tmp/transcription"), description="Uploads live here while they are worked on.")
    cleanup_interval: int = Field(
        3600, ge=1, description="Seconds between sweeps of TEMP_DIR, and the age at which a file there is an orphan."
    )
    min_free_disk: int = Field(
        268_435_456, ge=0, description="Bytes that must stay free under TEMP_DIR; readiness is red below."
    )
    ffmpeg_path: Path | None = Field(
        None, description="The ffmpeg to use; by default the system's, otherwise the one that imageio-ffmpeg ships."
    )
    decode_timeout: int = Field(600, ge=1, description="Longest ffmpeg may run on one file, seconds.")
    decode_memory_limit: int = Field(
        1_610_612_736, ge=134_217_728, description="Address space of the ffmpeg process, bytes (1.5 GiB)."
    )

    # Limits
    enable_rate_limit: bool = Field(True, description="Limit what each key, or else each address, may ask.")
    rate_limit_per_minute: int = Field(30, ge=1, description="Uploads a minute, unless a key has a limit of its own.")
    rate_limit_reads_per_minute: int = Field(600, ge=1, description="All other requests a minute, likewise.")
    max_client_uploads: int = Field(16, ge=1, description="Uploads of one caller at once.")
    max_client_bytes: int = Field(4_294_967_296, ge=1, description="Bytes of them together (4 GiB).")
    trusted_proxies: str = Field(
        "", description="Addresses and networks whose X-Forwarded-For is believed, comma-separated."
    )
    redis_url: str = Field(
        "",
        repr=False,
        description="Where API processes and machines count together; else CELERY_BROKER_URL, or each alone.",
    )

    # Guards
    memory_limit_percent: int = Field(
        90, ge=1, le=100, description="New work is refused while more of the container's memory is used, percent."
    )

    # Jobs
    enable_async: bool = Field(True, description="Take jobs; without, async=true answers 501.")
    jobs_dir: Path = Field(
        default_factory=default_jobs, description="Database and files of jobs; give it a disk that lasts."
    )
    job_result_ttl: int = Field(86_400, ge=1, description="Seconds that a finished job and its result are kept.")
    job_retries: int = Field(
        3, ge=0, le=100, description="Attempts after the first when the machinery fails; never after a bad file."
    )
    job_concurrency: int = Field(
        4, ge=1, le=64, description="Jobs that one API process, or one Celery worker, works on at once."
    )
    job_timeout: int = Field(
        14_400, ge=1, description="Longest one attempt of a job may take, seconds; a job that takes longer fails."
    )
    job_backend: Literal["sqlite", "celery"] = Field(
        "sqlite", description="sqlite: one machine, nothing to install. celery: many, with Redis and Celery workers."
    )
    celery_broker_url: str = Field(
        "", repr=False, description="Redis that carries Celery's messages; by default REDIS_URL."
    )
    celery_result_backend: str = Field(
        "", repr=False, description="Redis that keeps jobs and their results; by default CELERY_BROKER_URL."
    )
    spool_url: str = Field(
        "",
        repr=False,
        description="Where recordings of jobs are kept: a folder, or an fsspec URL such as s3://BUCKET/PATH.",
    )
    enable_cache: bool = Field(True, description="Answer the same request from the stored result for JOB_RESULT_TTL.")
    task_queue: Literal["own", "platform"] = Field(
        "own", description="Who serves BentoML's tasks: our jobs, or the queue of BentoCloud."
    )
    webhook_secret: str = Field(
        "", description="Key that callbacks are signed with; without it callback_url is refused."
    )
    webhook_allow: str = Field(
        "", description="Hosts and networks that callbacks may go to beside public https, comma-separated."
    )
    webhook_timeout: int = Field(10, ge=1, le=300, description="Longest one try of a callback may take, seconds.")

    # Metrics
    metrics_port: int = Field(
        9090, ge=0, le=65535, description="Where Celery workers and the queue exporter serve /metrics; 0 for nowhere."
    )

    # URL input
    enable_url_input: bool = Field(True, description="Fetch recordings from URLs that callers give.")
    url_allow: str = Field(
        "", description="Hosts and networks that recordings are fetched from beside public https, comma-separated."
    )

    # Access
    enable_api_key: bool = Field(False, description="Every route but the probes needs an API key.")
    api_key: str = Field("", repr=False, description="The one key, at least 32 characters.")
    api_keys_file: Path | None = Field(
        None, description="TOML file of many keys, as hashes with names; read again when it changes."
    )
    protect_probes: bool = Field(False, description="/health, /metrics and the other probes need a key too.")
    cors_origins: str = Field(
        "", description="Origins whose pages may call, comma-separated; * for all, empty for none."
    )
    upload_timeout: int = Field(30, ge=1, description="Longest an upload may pause, seconds.")
    min_upload_rate: int = Field(
        1000, ge=0, description="Least average pace of an upload after UPLOAD_TIMEOUT, bytes a second; 0 for any."
    )

    @property
    def origins(self) -> list[str]:
        """CORS_ORIGINS, one by one."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def broker_url(self) -> str:
        """The Redis that carries Celery's messages."""
        return self.celery_broker_url or self.redis_url

    @property
    def limits_redis_url(self) -> str:
        """The Redis in which callers are counted, empty when each process counts alone."""
        return self.redis_url or (self.broker_url if self.job_backend == "celery" else "")

    @property
    def jobs_redis_url(self) -> str:
        """The Redis that keeps jobs when JOB_BACKEND is celery."""
        return self.celery_result_backend or self.broker_url

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("whisper_device", "whisper_compute_type", "whisper_layout", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("whisper_layout")
    @classmethod
    def _known_layout(cls, value: str) -> str:
        if not LAYOUT.fullmatch(value):
            raise ValueError("must be auto, latency, throughput, or SLOTSxTHREADSxBATCH such as 2x1x4")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in value.split(","):
            if part.strip():
                ip_network(part.strip(), strict=False)
        return value

    @field_validator("redis_url", "celery_broker_url", "celery_result_backend")
    @classmethod
    def _known_server(cls, value: str) -> str:
        try:
            known = not value or (urlsplit(value).scheme in ("redis", "rediss") and urlsplit(value).port != 0)
        except ValueError:  # the port is no number
            known = False
        if not known:
            raise ValueError("must be redis://HOST:PORT/DATABASE, or rediss:// for TLS")
        return value

    @model_validator(mode="after")
    def _servers_of_celery(self) -> Self:
        if self.job_backend == "celery" and not self.broker_url:
            raise ValueError("JOB_BACKEND=celery needs REDIS_URL, or CELERY_BROKER_URL")
        return self

    @field_validator("whisper_model_dir", "cache_dir", "temp_dir", "jobs_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()


class InvalidSettings(SystemExit):
    """Start-up stops here: the message names each variable that is wrong."""


def load_settings() -> Settings:
    """Read the environment and `.env` once.

    Raises InvalidSettings, which names every offending variable with the reason.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = []
        for item in error.errors():
            if not item["loc"]:  # of all together, and all of them may hold a secret
                problems.append(f"  {item['msg']}")
                continue
            name = "_".join(str(part) for part in item["loc"])
            field = Settings.model_fields.get(name)
            value = repr(item["input"]) if field is None or field.repr else "..."  # a secret is no business of the log
            problems.append(f"  {name.upper()}={value}: {item['msg']}")
        raise InvalidSettings("Invalid settings:\n" + "\n".join(problems)) from None
