"""What infra/ promises, as far as it can be held without a container engine: its files agree, and with the code."""

import re
import shlex
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import affectstore
from extractors.registry import extractor_names
from feature_repo.serving.database_urls import online_settings, registry_settings

ROOT = Path(__file__).parent.parent
INFRA = ROOT / "infra"
COMPOSE_TEXT = (INFRA / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PAGE = (INFRA / "README.md").read_text()
CONTAINERFILE = (INFRA / "Containerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Of the compose specification (compose-spec/schema/compose-spec.json), what a service may say; here what we use of it.
SERVICE_KEYS = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "deploy",
    "entrypoint",
    "environment",
    "healthcheck",
    "image",
    "init",
    "logging",
    "networks",
    "ports",
    "profiles",
    "restart",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "user",
    "volumes",
}
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("affectstore:")}


def variables() -> dict[str, set[str]]:
    """Of the compose file: variable to what follows its name, ``:?...`` of one that must be set."""
    found: dict[str, set[str]] = {}
    for name, rest in re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", COMPOSE_TEXT):
        found.setdefault(name, set()).add(rest)
    return found


def example() -> dict[str, str]:
    lines = (line for line in (INFRA / "env.example").read_text().splitlines() if line and line[0] != "#")
    return dict(line.split("=", 1) for line in lines)


# --- the compose file ------------------------------------------------------------------------------------------------


def test_every_service_says_only_what_compose_knows() -> None:
    assert set(COMPOSE) == {"name", "x-affectstore", "services", "networks", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service.get("healthcheck", ())) <= {
            "test",
            "interval",
            "timeout",
            "retries",
            "start_period",
        }


def test_what_is_referred_to_is_there() -> None:
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (INFRA / source).is_file(), volume
            elif not source.startswith("${"):
                assert source in COMPOSE["volumes"], volume
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            # Who is waited for can tell that it is ready, or comes to an end.
            assert condition in ("service_healthy", "service_completed_successfully")
            assert ("healthcheck" in SERVICES[other]) == (condition == "service_healthy"), (name, other)
            assert condition == "service_healthy" or SERVICES[other]["restart"] == "no"


def test_the_example_of_settings_has_each_variable_and_no_password_that_works() -> None:
    used = variables()
    assert set(example()) == set(used)
    secret = {name for name in used if re.search("PASSWORD|KEY|TOKEN", name)}
    assert len(secret) == 5
    for name in secret | {"MEDIA", "MODELS"}:
        assert example()[name] == ""
        assert all(rest.startswith(":?") for rest in used[name]), (
            name
        )  # compose stops where it is not set, or empty
    for name in set(used) - secret - {"MEDIA", "MODELS"}:
        assert used[name] == {f":-{example()[name]}"}


def test_nothing_is_published_but_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert {name: [port.split(":")[0] for port in ports] for name, ports in published.items()} == {
        "s3": ["127.0.0.1"],
        "feast": ["127.0.0.1"],
        "feast-offline": ["127.0.0.1"],
    }
    assert COMPOSE["networks"]["cluster"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "edge" in service["networks"]} == set(published)


def test_every_image_is_pinned() -> None:
    for name, service in SERVICES.items():
        image, _, tag = service["image"].rpartition(":")
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?(-\w+)?", tag), name
        assert (image == "affectstore") == ("build" in service)
        if name in OURS:
            assert tag in (affectstore.__version__, f"{affectstore.__version__}-cuda")
    assert re.findall(r"^FROM (\S+)", CONTAINERFILE, re.M)[0] == "${PYTHON_IMAGE}"
    assert re.search(r"^ARG PYTHON_IMAGE=\S+:\d+\.\d+\.\d+-slim-\w+$", CONTAINERFILE, re.M)


def test_ours_have_no_privileges_and_ray_asks_for_its_token() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
    assert "--dashboard-host" not in COMPOSE_TEXT


def command_of(service: dict[str, Any]) -> list[str]:
    """The line that its container runs, where the image says it or we do."""
    ours = service["image"].startswith("affectstore:")
    return [*service.get("entrypoint", ["affectstore"] if ours else []), *service.get("command", ["--help"])]


@pytest.mark.parametrize("name", sorted(name for name in OURS if "entrypoint" not in SERVICES[name]))
def test_the_commands_of_our_services_are_commands(name: str) -> None:
    parsed(command_of(SERVICES[name])[1:])


@pytest.mark.parametrize("name", ["ray-head", "ray-worker", "ray-worker-cuda"])
def test_ray_knows_the_options(name: str) -> None:
    scripts = pytest.importorskip("ray.scripts.scripts", reason="pip install 'affectstore[ray]'")
    line = [filled(word) for word in command_of(SERVICES[name])]
    assert line[:2] == ["ray", "start"]
    context = scripts.start.make_context("start", line[2:])
    assert context.params["block"]  # in the foreground: when Ray ends, so does the container
    assert not context.params["include_dashboard"]
    memory = context.params["object_store_memory"]
    assert memory < 1.2e9  # what shm_size gives
    assert SERVICES[name]["shm_size"] == "1200mb"


def parsed(arguments: list[str]) -> None:
    """Hold a line against the command line as it is, without running it."""
    group: Any = typer.main.get_command(affectstore.command_line())
    if arguments != ["--help"]:
        name, *rest = arguments
        assert name in group.commands
        group.commands[name].make_context(name, rest)


def filled(text: str) -> str:
    """A value of the compose file with the example's settings."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda match: example()[match[1]], text).replace("$$", "$")


# --- Feast's configuration -------------------------------------------------------------------------------------------


def test_the_clusters_configuration_is_what_feast_config_writes() -> None:
    found = yaml.safe_load((INFRA / "feature_store.yaml").read_text())
    postgres = "postgresql://affectstore:${POSTGRES_PASSWORD}@postgres:5432/affectstore?sslmode=prefer"
    assert found["registry"] == registry_settings(postgres)
    assert found["online_store"] == online_settings("redis://:${REDIS_PASSWORD}@redis:6379/0")
    packaged = yaml.safe_load((ROOT / "feature_repo" / "feature_store.yaml").read_text())
    for same in ("offline_store", "materialization", "entity_key_serialization_version", "provider"):
        assert found[same] == packaged[same]
    assert found["auth"]["type"] == "oidc"
    # The one in comments is PostgreSQL's.
    commented = "\n".join(
        line[2:] for line in (INFRA / "feature_store.yaml").read_text().splitlines() if line.startswith("#  ")
    )
    assert yaml.safe_load(commented) == online_settings(postgres)


def test_the_configurations_variables_and_hosts_are_the_compose_files() -> None:
    text = (INFRA / "feature_store.yaml").read_text()
    for name in string.Template(text).get_identifiers():
        for service in ("feast", "feast-offline", "tools", "ray-head"):
            assert name in SERVICES[service]["environment"]
    assert {"postgres", "redis"} <= set(SERVICES)
    assert SERVICES["postgres"]["environment"]["POSTGRES_DB"] == "affectstore"
    assert SERVICES["postgres"]["environment"]["POSTGRES_USER"] == "affectstore"
    assert SERVICES["feast"]["environment"]["AWS_ENDPOINT_URL"] == "http://s3:8333"
    assert "-s3.port=8333" in SERVICES["s3"]["command"]


# --- the container file ----------------------------------------------------------------------------------------------


def copied() -> Iterator[str]:
    for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.M):
        yield from line.split()[:-1]


def test_the_image_gets_all_of_the_project_and_nothing_else() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert set(wheel) <= set(copied())
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored  # secrets and data stay out, whatever they are called
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert allowed == set(copied())
    assert all((ROOT / name).exists() for name in allowed)


def test_the_image_installs_extras_that_there_are_under_the_pins() -> None:
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", CONTAINERFILE, re.M)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    pins = (ROOT / "constraints.txt").read_text()
    for package in re.findall(r"sed -n 's/\^([\w-]+)==//p' constraints\.txt", CONTAINERFILE):
        assert len(re.findall(rf"^{package}==\S+$", pins, re.M)) == 1
    installs = re.findall(r"pip install (?!--upgrade)(.+)", CONTAINERFILE)
    assert all("constraint" in line or "--no-deps" in line or "==" in line for line in installs)
    (python,) = re.findall(r"^ARG PYTHON_IMAGE=\S+:(\d+\.\d+)", CONTAINERFILE, re.M)
    assert f"Python {python}" in pins  # the pins were proven with it


def test_what_runs_is_no_root_and_offline() -> None:
    stages = re.split(r"^FROM ", CONTAINERFILE, flags=re.M)[1:]
    by_name = {match[1]: stage for stage in stages if (match := re.match(r"\S+ AS (\w+)", stage))}
    assert stages[-1].split()[0] == "worker"  # what is built without a target
    for name in ("worker", "trainer"):
        assert re.findall(r"^USER (\w+)$", by_name[name], re.M)[-1] == "affect"
    for line in (
        "HF_HUB_OFFLINE=1",
        "FEAST_USAGE=False",
        "RAY_USAGE_STATS_ENABLED=0",
        "AFFECTSTORE_CACHE=/cache",
    ):
        assert line in by_name["worker"]
    (entry,) = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', by_name["worker"], re.M)
    assert entry in PROJECT["project"]["scripts"]
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets <= set(by_name)


# --- the page --------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_pages_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(links) > 5
    for link in links:
        place, _, anchor = link.partition("#")
        assert not place or (INFRA / place).exists(), link
        if anchor:
            assert anchor in anchors((INFRA / place).read_text() if place else PAGE), link


def commands() -> list[str]:
    """Lines of affectstore's in the page, whatever starts them."""
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", PAGE, re.S)).replace("\\\n", " ")
    found = []
    for line in re.findall(r"^\$ (.+)$", blocks, re.M):
        line = re.sub(r"\s+#.*$", "", line)
        line = re.sub(
            r"^compose run --rm tools |^compose exec ray-head affectstore |^affectstore ", "@ ", line
        )
        if line.startswith("@ "):
            found.append(line[2:])
    return found


@pytest.mark.parametrize("line", commands())
def test_the_pages_commands_are_commands(line: str) -> None:
    parsed(shlex.split(line))


def test_the_pages_services_profiles_and_variables_are_the_compose_files() -> None:
    table = PAGE.partition("| service | image |")[2].partition("\n\n")[0]
    assert set(
        re.findall(r"`([\w-]+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:]))
    ) == set(SERVICES) - {"setup"}
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    assert set(re.findall(r"--profile (cuda|serve|tools)\b", PAGE)) <= profiles
    assert "`TORCH=cu126`" in PAGE
    assert SERVICES["ray-worker-cuda"]["build"]["args"] == {"TORCH": "cu126"}


def test_the_sizing_table_tells_of_every_extractor() -> None:
    told = PAGE.partition("### How large, how long")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`", told, re.M)
    assert set(rows) <= set(extractor_names())
    missing = set(extractor_names()) - set(rows)
    assert missing == {"fasterwhisper", "giventranscript"}
    assert all(f"`{name}`" in told for name in missing)  # why not is said below the table
