"""Settings are read from the environment, and invalid ones are refused at start, by name."""

import pytest

from transcription.core.settings import InvalidSettings, Settings, load_settings


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Sets variables, away from any .env of the checkout."""
    monkeypatch.chdir(tmp_path)
    return monkeypatch.setenv


def test_the_variable_of_a_setting_is_its_name_in_upper_case(environment):
    environment("MAX_DURATION", "60")
    assert load_settings().max_duration == 60


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "seventy"),
        ("PORT", "70000"),
        ("LOG_LEVEL", "LOUD"),
        ("MAX_FILE_SIZE", "0"),
        ("MAX_DURATION", "-1"),
        ("WHISPER_DEVICE", "tpu"),
        ("WHISPER_COMPUTE_TYPE", "int3"),
        ("WHISPER_LAYOUT", "2x"),
        ("MAX_LOADED_MODELS", "0"),
        ("CLEANUP_INTERVAL", "soon"),
        ("MAX_DURATION", "3600000"),
        ("REQUEST_TIMEOUT", "9" * 30),
        ("DECODE_MEMORY_LIMIT", "1" + "0" * 15),
        ("WHISPER_LAYOUT", "1000x1x1"),
    ],
)
def test_an_invalid_value_prevents_the_start_and_its_variable_is_named(environment, variable, value):
    environment(variable, value)
    with pytest.raises(InvalidSettings, match=rf"{variable}='{value}'"):
        load_settings()


def test_all_invalid_variables_are_named_together(environment):
    environment("PORT", "x")
    environment("WORKERS", "0")
    with pytest.raises(InvalidSettings) as stopped:
        load_settings()
    assert "PORT=" in str(stopped.value)
    assert "WORKERS=" in str(stopped.value)


@pytest.mark.parametrize("value", ["http://:hunter2@host", "redis://:hunter2@host:port", "unix:///run/hunter2"])
def test_an_invalid_redis_url_prevents_the_start_without_printing_its_password(environment, value):
    environment("REDIS_URL", value)
    with pytest.raises(InvalidSettings, match="REDIS_URL") as stopped:
        load_settings()
    assert "hunter2" not in str(stopped.value)


@pytest.mark.parametrize("secret", ["hunter2", "hunter2" + " " * 40, "s" * 31])
def test_a_short_webhook_secret_prevents_the_start_without_being_printed(environment, secret):
    environment("WEBHOOK_SECRET", secret)
    with pytest.raises(InvalidSettings, match=r"WEBHOOK_SECRET=\.\.\.: .*at least 32 characters") as stopped:
        load_settings()
    assert secret.strip() not in str(stopped.value)


def test_a_webhook_secret_of_32_characters_is_accepted_and_not_printed(environment):
    environment("WEBHOOK_SECRET", "s" * 32)
    assert load_settings().webhook_secret == "s" * 32
    assert "s" * 32 not in repr(load_settings())


def test_a_user_without_a_home_folder_is_told_what_to_set(environment, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    with pytest.raises(InvalidSettings, match=r"HOME is not set.*JOBS_DIR, CACHE_DIR and WHISPER_MODEL_DIR"):
        load_settings()


def test_passwords_are_not_printed(environment):
    environment("REDIS_URL", "rediss://:hunter2@host:6380/0")
    assert load_settings().redis_url.startswith("rediss://")
    assert "hunter2" not in repr(load_settings())


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:all", "CUDA:0,1", "cuda:3"])
def test_known_devices_are_accepted_in_any_case(environment, device):
    environment("WHISPER_DEVICE", device)
    assert load_settings().whisper_device == device.lower()


@pytest.mark.parametrize("device", ["gpu", "cpu:0", "cuda:", "cuda:0,0", "cuda:0,", "cuda:-1", "cuda:0, 1", "auto:all"])
def test_other_devices_are_refused(environment, device):
    environment("WHISPER_DEVICE", device)
    with pytest.raises(InvalidSettings, match="cuda:0,1"):
        load_settings()


@pytest.mark.parametrize("layout", ["auto", "latency", "throughput", "2x1x1", "1X8X16"])
def test_known_layouts_are_accepted_in_any_case(environment, layout):
    environment("WHISPER_LAYOUT", layout)
    assert load_settings().whisper_layout == layout.lower()


def test_an_empty_variable_selects_the_default(environment):
    environment("WHISPER_MODEL", "")
    assert load_settings().whisper_model == "base"


def test_a_dotenv_file_is_read(environment, tmp_path):
    (tmp_path / ".env").write_text("WHISPER_MODEL=demo\n")
    assert load_settings().whisper_model == "demo"


def test_the_environment_takes_precedence_over_the_dotenv_file(environment, tmp_path):
    (tmp_path / ".env").write_text("WHISPER_MODEL=demo\n")
    environment("WHISPER_MODEL", "small")
    assert load_settings().whisper_model == "small"


def test_folders_are_made_absolute(environment, tmp_path):
    environment("TEMP_DIR", "uploads")
    assert load_settings().temp_dir == tmp_path / "uploads"


def test_every_setting_has_a_description():
    assert all(field.description for field in Settings.model_fields.values())


def test_celery_without_redis_prevents_the_start_without_printing_secrets(environment):
    environment("JOB_BACKEND", "celery")
    environment("API_KEY", "hunter2" * 5)
    with pytest.raises(InvalidSettings, match="JOB_BACKEND=celery needs REDIS_URL") as stopped:
        load_settings()
    assert "hunter2" not in str(stopped.value)


def test_one_redis_is_used_for_everything_by_default(environment):
    environment("REDIS_URL", "redis://one/0")
    assert (load_settings().broker_url, load_settings().jobs_redis_url) == ("redis://one/0", "redis://one/0")
    environment("CELERY_BROKER_URL", "redis://two/0")
    assert (load_settings().broker_url, load_settings().jobs_redis_url) == ("redis://two/0", "redis://two/0")
    environment("CELERY_RESULT_BACKEND", "redis://three/1")
    assert load_settings().jobs_redis_url == "redis://three/1"


def test_machines_that_share_jobs_share_rate_limits(environment):
    environment("CELERY_BROKER_URL", "redis://two/0")
    assert load_settings().limits_redis_url == ""
    environment("JOB_BACKEND", "celery")
    assert load_settings().limits_redis_url == "redis://two/0"
    environment("REDIS_URL", "redis://one/0")
    assert load_settings().limits_redis_url == "redis://one/0"


@pytest.mark.parametrize("value", ["../base", "base;tiny", "a/b", "**"])
def test_an_impossible_name_among_the_allowed_models_stops_the_start(environment, value):
    environment("ALLOWED_MODELS", f"base, {value}")
    with pytest.raises(InvalidSettings, match="ALLOWED_MODELS"):
        load_settings()


def test_links_on_the_way_to_temp_dir_stay_because_those_of_others_are_refused(environment, tmp_path):
    (tmp_path / "planted").symlink_to("/etc")
    environment("TEMP_DIR", str(tmp_path / "planted"))
    assert load_settings().temp_dir == tmp_path / "planted"
