"""`python -m local`: the commands behind make local, local-status, local-logs and local-destroy.

Each takes the settings and its parsed arguments and returns the exit code.
"""

import argparse
import concurrent.futures
import errno
import os
import shlex
import sys
import time
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from local import bases, cdk, deployment, figures, processes, sample
from local.bases import EXAMPLE, Base
from local.permissions import read_decisions
from local.settings import STAGE, LocalError, LocalSettings, client_environment
from local.steps import step

FOLLOW_INTERVAL_S = 1.0
NOT_DESTROYED = "The stacks were not destroyed by CDK: they ended with the emulator."


def up(settings: LocalSettings, arguments: argparse.Namespace) -> int:
    """Bring the system up, or a running one up to date, and ask it about the sample image."""
    _check_context(arguments.context)
    base: Base | None = arguments.base
    with processes.exclusive(settings):
        started = time.monotonic()
        for package in ("aws-cdk", "@aws-sdk/client-s3"):
            if not (modules := settings.repository / "node_modules").joinpath(package).exists():
                raise LocalError(f"{package} is not in {modules}. `make local` installs it, or run: npm ci")
        if processes.is_running(settings):
            print(f"The system is up on port {settings.port}; deploying what changed.")
        else:
            if news := processes.clear_stale(settings):
                print(news)
            with step("start the emulator"):
                processes.start(settings)
        other_base = bases.register(settings, base)
        context = [*arguments.context, *(base.context if base else ())]
        with step("synthesize the app, bootstrap"), concurrent.futures.ThreadPoolExecutor() as pool:
            for job in (pool.submit(cdk.bootstrap, settings), pool.submit(cdk.synth, settings, context)):
                job.result()
        with step("deploy the stacks") as deploying:
            cdk.deploy(settings, deploying, serve_base=other_base)
        bases.deployed(settings, base)
        deployed = deployment.read_deployment(settings)
        with step("classify local/sample.png"):
            scores = sample.classify(deployed)
        print(f"\n{sample.picture(scores)}\n\n{knowledge(deployed, base)}")
        print(f"\nUp after {time.monotonic() - started:.0f} s. Open it in a browser:")
        print(f"  {deployed.page}")
        if deployed.signed:
            print("Its requests are signed, which a browser can't do: python -m wordsight open")
        print("\nOr paste one of these:\n")
        print("\n\n".join(sample.examples(deployed)))
        print("\nIt keeps running: make local-status, make local-logs, make local-destroy.")
    return 0


def knowledge(deployed: deployment.Deployment, base: Base | None) -> str:
    """What the served model knows, and how to have one that knows something else."""
    health = sample.health(deployed)
    licence = f" Its licence: {health['licence']}." if health.get("licence") else ""
    said = f"{health.get('knows') or 'What this model knows could not be asked.'}{licence}"
    if base:
        return f"{said}\nThe one that ships with Wordsight comes back with: make local"
    return f"{said}\nFor photographs, with a download of 600 MB: make local MODEL={EXAMPLE}"


def status(settings: LocalSettings, arguments: argparse.Namespace) -> int:
    """Say what runs, and what a role of the app was denied; 0 only if all of it is healthy, and nothing was."""
    pid = processes.emulator_pid(settings)
    if not processes.is_running(settings):
        left = processes.running(settings.directory)
        remains = f" Of an earlier one {len(left)} process(es) remain; `make local-destroy` ends them." if left else ""
        print(f"No emulator answers on port {settings.port}.{remains} `make local` starts the system.")
        return 1
    if not settings.outputs.exists():
        print("The emulator runs, but the app is not deployed. `make local` deploys it.")
        return 1
    deployed = deployment.read_deployment(settings)
    stacks = deployment.stacks()
    endpoint = deployment.endpoint_status(deployed)
    rows = [("emulator", f"process {pid}, {settings.endpoint_url}")]
    rows += [("stack", f"{name}  {state}") for name, state in stacks.items()]
    rows += [
        ("function" if deployed.by_function else "endpoint", f"{deployed.endpoint_name}  {endpoint}"),
        ("API", f"{deployed.url}/"),
    ]
    rows += [("model", knows)] if (knows := sample.health(deployed).get("knows")) else []
    rows += [(title.lower(), told) for title, told in figures.rows()]
    denied = [decision.sentence for decision in read_decisions(settings.decisions) if not decision.allowed]
    rows += [("denied", sentence) for sentence in denied]
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}} {value}" for name, value in rows))
    healthy = endpoint.startswith("InService") and all(map(deployment.is_healthy, stacks.values()))
    return 0 if healthy and not denied else 1


def logs(settings: LocalSettings, arguments: argparse.Namespace) -> int:
    """Print what functions, endpoint and training jobs logged, and go on if asked to follow."""
    if not processes.is_running(settings):
        raise LocalError("Nothing is running. `make local` starts the system.")
    since_ms = 0
    while True:
        for event in deployment.log_events(since_ms, everything=arguments.all):
            since_ms = max(since_ms, event["timestamp"] + 1)
            clock = datetime.fromtimestamp(event["timestamp"] / 1000, UTC).astimezone().strftime("%H:%M:%S")
            print(f"{clock} {event['group']}  {event['message'].rstrip()}")
        if not arguments.follow:
            print(f"The emulator's own log is {settings.emulator_log}, the CDK CLI's is {settings.cdk_log}.")
            return 0
        time.sleep(FOLLOW_INTERVAL_S)


def destroy(settings: LocalSettings, arguments: argparse.Namespace) -> int:
    """`cdk destroy`, then end every process and remove every file; 0 only if CDK left nothing."""
    if not settings.directory.exists() and not processes.running(settings.directory):
        print("Nothing is running, and nothing is left to remove.")
        return 0
    with processes.exclusive(settings):
        problem = _destroy_stacks(settings)
        with step("stop the emulator"):
            ended = processes.remove(settings)
    port = "is free" if processes.port_is_free(settings.port) else "is held by a program that is not ours"
    print(f"Ended {len(ended)} process(es); port {settings.port} {port}; {settings.directory} is gone.")
    if problem:
        print(f"\n{problem}", file=sys.stderr)
    return 1 if problem else 0


def _destroy_stacks(settings: LocalSettings) -> str:
    """Returns what went wrong or was left; the emulator's end removes that too, an AWS account would keep it."""
    try:
        if not processes.is_running(settings):
            # One whose state folder was removed while it ran still serves, but CDK no longer knows what it deployed.
            if settings.pid_file.exists() or not (left := processes.running(settings.directory)):
                return ""
            return f"{settings.directory} had been removed while {len(left)} process(es) ran. {NOT_DESTROYED}"
    except processes.NotAnswering as error:
        return f"{error}\n{NOT_DESTROYED}"
    try:
        # Without a manifest the first synth failed, and nothing was deployed.
        if (settings.cloud_assembly / "manifest.json").exists():
            with step("destroy the stacks") as destroying:
                cdk.destroy(settings, destroying)
        remains = deployment.leftovers()
    except LocalError as error:
        return f"On AWS something would have stayed:\n{error}"
    return f"On AWS something would have stayed: {', '.join(remains)}" if remains else ""


def env(settings: LocalSettings, arguments: argparse.Namespace) -> int:
    """Print what a shell must export so that any AWS client in it talks to the emulator, and what is deployed there."""
    of_clients = {name: value for name, value in client_environment(settings, {}).items() if name.startswith("AWS_")}
    for name, value in (of_clients | deployment.shell_variables(settings)).items():
        print(f"export {name}={shlex.quote(value)}")
    print("unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN")
    return 0


def run_cdk(settings: LocalSettings, arguments: argparse.Namespace) -> int:
    """Any command of the CDK CLI against the running emulator, its output shown as it comes."""
    if not processes.is_running(settings):
        raise LocalError("Nothing is running. `make local` starts the system.")
    cdk.run(settings, arguments.arguments, show=True)
    return 0


def _check_context(context: list[str]) -> None:
    for name, _, value in (pair.partition("=") for pair in context):
        if name in ("model_id", "model_revision"):
            raise LocalError(f"{name} is of the images that are built for AWS. Here give: make local MODEL={EXAMPLE}")
        if name == "stage" and value != STAGE:
            raise LocalError(
                f"The stage is {value!r}, and local mode runs {STAGE!r} only: another may need a GPU, or keep its "
                f"buckets after a destroy. Leave it out; to see that stage's templates run: make synth STAGE={value}"
            )


def parser() -> argparse.ArgumentParser:
    """The command line with all of its commands."""
    made = argparse.ArgumentParser(prog="python -m local", description="The same app on one machine.")
    subparsers = made.add_subparsers(required=True)
    of = {}
    for name, command, what in (
        ("up", up, "start the emulator, deploy the app, classify the sample image"),
        ("status", status, "say what runs"),
        ("logs", logs, "print what functions, endpoint and training jobs logged"),
        ("destroy", destroy, "remove everything"),
        ("env", env, 'point other AWS tools at the emulator: eval "$(python -m local env)"'),
        ("cdk", run_cdk, "run any command of the CDK CLI against the emulator"),
    ):
        of[name] = subparsers.add_parser(name, help=what)
        of[name].set_defaults(command=command)
    of["up"].add_argument(
        "-c", "--context", action="append", default=[], metavar="NAME=VALUE", help="context for cdk synth"
    )
    of["up"].add_argument(
        "--model", help=f"serve and fine-tune this one: a checkpoint's folder, or {EXAMPLE}, also with @ and a revision"
    )
    of["logs"].add_argument(
        "-a", "--all", action="store_true", help="also when each call of a function began and ended"
    )
    of["logs"].add_argument("-f", "--follow", action="store_true", help="go on as more comes")
    of["cdk"].add_argument("arguments", nargs=argparse.REMAINDER)
    of["up"].set_defaults(base=None)
    return made


def main() -> int:
    arguments = parser().parse_args()
    try:
        settings = LocalSettings.from_env(os.environ)
        if model := getattr(arguments, "model", None):
            arguments.base = bases.prepare(model, os.environ)
        environment = client_environment(settings, os.environ)
        os.environ.clear()
        os.environ.update(environment)  # from here on this process knows no AWS account but the emulator's
        return int(arguments.command(settings, arguments))
    except LocalError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"\nThe emulator did not answer as expected: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"\nThe disk is full: {error}. Make room, then `make local` goes on from here.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. `make local` goes on from here, `make local-destroy` removes all.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
