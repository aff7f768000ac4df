"""``orchord dev``: broker, database, API, workers, daemon and launcher in one command; code loaded anew as it changes.

Here are the options and the order of starting and ending; the pieces are in orchord.embedded.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from orchord.cli.failures import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK
from orchord.cli.targets import Targets, required_targets, target_arguments, target_options
from orchord.embedded.dev_home import DevHome, dev_home
from orchord.embedded.processes import free_port, port_is_free
from orchord.embedded.stack import Stack, answers
from orchord.embedded.supervisor import Supervisor
from orchord.embedded.valkey import start_valkey
from orchord.embedded.watching import rounds, watched_path, watching_is_possible
from orchord.instance import OrchordInstance
from orchord.settings import Settings, child_environment, environment_value

DEFAULT_PORT = 3000
PORTS_TRIED = 20
API_READY_SECONDS = 30.0
DOCKER_SOCKET = Path("/var/run/docker.sock")
ANY_ADDRESS = ("0.0.0.0", "::", "")


@click.command()
@target_options
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that the API listens on.")
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    help=f"The API's port; 0: any (default: {DEFAULT_PORT}, or the next free one).",
)
@click.option("--workers", "concurrency", type=click.IntRange(1), help="How many steps run at once (default: 2).")
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="Where state is kept.")
@click.option("--no-reload", is_flag=True, help="Do not look for changed files.")
@click.option(
    "--log-level",
    default="warning",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="The least level that the processes log.",
)
def dev(
    targets: Targets,
    host: str,
    port: int | None,
    concurrency: int | None,
    home: Path | None,
    no_reload: bool,
    log_level: str,
) -> int:
    """Run everything on this machine, and reload code as it changes.

    State lies in --home, else in $ORCHORD_HOME, else in a fresh folder that goes at the end. Services that an
    orchord.yaml there names are used; the broker is embedded otherwise, and the database is a file.
    """
    settings = Settings.from_environment()
    found = required_targets(targets)
    chosen_port = _choose_port(host, port)
    if chosen_port is None:
        click.echo(f"Error: port {port} of {host} is in use. Give another --port, or none.", err=True)
        return EXIT_BAD_INPUT
    stop = threading.Event()
    with contextlib.ExitStack() as closing:
        closing.enter_context(_signals_set(stop))
        state = closing.enter_context(dev_home(home or (settings.home if settings.home_is_given else None)))
        stack = closing.enter_context(
            Stack(
                child_environment(PYTHONUNBUFFERED="1"), remove_at_the_end=state.folder if state.is_temporary else None
            )
        )
        instance_home = closing.enter_context(_services(state, stack))
        stack.environment["ORCHORD_HOME"] = str(instance_home)
        closing.callback(stack.stop_all)  # before the broker goes
        supervisor = Supervisor(stack, _say)
        closing.callback(supervisor.close)
        supervisor.add("api", ["api", "--host", host, "--port", str(chosen_port), "--log-level", log_level])
        for target in found:
            named = target_arguments(target)
            arguments = ["worker", *named, "--log-level", log_level]
            arguments += [] if concurrency is None else ["--concurrency", str(concurrency)]
            supervisor.add_worker(f"worker of {target.location_name}", arguments, ["definitions", "validate", *named])
        supervisor.add("daemon", ["daemon", "--log-level", log_level])
        places = _places_of_containers(instance_home, has_own_services=not state.needs_broker)
        if places:
            asked = [part for place in places for part in ("--place", place)]
            supervisor.add("launcher", ["launcher", *asked, "--log-level", log_level])
        if not _await_api(supervisor, host, chosen_port, stop):
            return EXIT_FAILED
        if not stop.is_set():
            _say_ready(host, chosen_port, state, instance_home, reloads=not no_reload)
        paths = [] if no_reload else [path for path in map(watched_path, found) if path is not None]
        for changed in rounds(paths, stop):
            if changed:
                supervisor.code_changed()
            supervisor.look()
        _say("Stopping.")
    return EXIT_OK


@contextlib.contextmanager
def _services(state: DevHome, stack: Stack) -> Iterator[Path]:
    with contextlib.ExitStack() as closing:
        broker = None
        if state.needs_broker:
            broker = closing.enter_context(start_valkey(state.folder / "broker", on_start=stack.adopt))
        home = closing.enter_context(state.instance_home(broker))
        instance = OrchordInstance.from_home(Settings(home=home, home_is_given=True))
        try:
            instance.storage.migrate()
        finally:
            instance.dispose()
        yield home


def _places_of_containers(home: Path, *, has_own_services: bool) -> tuple[str, ...]:
    """Return where containers are to be started: where the run launchers do, else at an engine that is here.

    What is embedded listens on this machine alone: no container would reach it.
    """
    instance = OrchordInstance.from_home(Settings(home=home, home_is_given=True), tells=False)
    try:
        names = ("", *instance.config.run_launchers)
        found = dict.fromkeys(instance.launchers.named(name).place for name in names)
    finally:
        instance.dispose()
    places = tuple(place.value for place in found if place.is_container)
    has_engine = DOCKER_SOCKET.is_socket() or environment_value("DOCKER_HOST") is not None
    return places or (("docker",) if has_own_services and has_engine else ())


@contextlib.contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: whoever is waited for is killed
        stop.set()

    earlier = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _choose_port(host: str, port: int | None) -> int | None:
    if port == 0:
        return free_port(host)
    if port is not None:
        return port if port_is_free(port, host) else None
    following = range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED)
    return next((candidate for candidate in following if port_is_free(candidate, host)), free_port(host))


def _await_api(supervisor: Supervisor, host: str, port: int, stop: threading.Event) -> bool:
    asked = "127.0.0.1" if host in ANY_ADDRESS else host
    for _ in range(int(API_READY_SECONDS / 0.05)):
        if stop.is_set() or answers(asked, port, "/livez"):
            return True
        if any(end.name == "api" for end in supervisor.look()):
            break
        stop.wait(0.05)
    _say("The API did not start; what it said stands above.")
    return False


def _say_ready(host: str, port: int, state: DevHome, instance_home: Path, *, reloads: bool) -> None:
    shown = "127.0.0.1" if host in ANY_ADDRESS else host
    click.secho(f"Orchord is at http://{shown}:{port}", bold=True)
    click.echo(f"  state in {state.folder}{' (goes at the end)' if state.is_temporary else ''}")
    click.echo(f"  in another terminal: export ORCHORD_HOME={instance_home}")
    if reloads and not watching_is_possible():
        click.echo("  changed files are not noticed: `pip install 'orchord[dev]'` brings watchfiles")


def _say(sentence: str) -> None:
    click.secho(sentence, err=True, fg="yellow")
