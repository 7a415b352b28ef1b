"""Building a project's environment: the plan's steps in a builder container, committed as an image."""

import asyncio
import hashlib
import json
import secrets
import time
from dataclasses import asdict
from typing import Any, cast

from pydantic import ValidationError

from hypercode.domain.environment import Environment
from hypercode.domain.errors import EnvironmentFailed, InvalidArgument
from hypercode.domain.project import EnvironmentSettings
from hypercode.sandbox.base import BuildEnvironment, CheckRequest, Progress
from hypercode.sandbox.containers import Containers
from hypercode.sandbox.egress import Egress
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.indexes import package_sources, pip_options
from hypercode.sandbox.names import LABELS, check_volume, workspace_volumes
from hypercode.sandbox.profiles import PATH, ContainerSpec, Mount, builder_config, python
from hypercode.sandbox.recipes import DECIDING, Facts, Plan, plan_environment
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.sandbox.workspaces import ARGUMENT, Workspaces
from hypercode.settings import SandboxSettings
from hypercode.telemetry.metrics import ENVIRONMENT_BUILD_SECONDS, begin_at_zero, timed

REPOSITORY = "hypercode-env"
HINT = (
    'set what installs it: PATCH /api/v1/projects/{id} with {"environment": {"setup": ["pip install ..."]}}, or '
    '{"environment": {"image": "..."}} (the id is that of GET /api/v1/projects); --check only names the test command'
)


class Environments:
    """Builds environments, and finds those that were built before."""

    def __init__(
        self,
        engine: Engine,
        runtime: RuntimeVolumes,
        containers: Containers,
        workspaces: Workspaces,
        egress: Egress,
        settings: SandboxSettings,
    ) -> None:
        self._engine = engine
        self._runtime = runtime
        self._containers = containers
        self._workspaces = workspaces
        self._egress = egress
        self._settings = settings
        self._building: dict[str, asyncio.Lock] = {}
        begin_at_zero(ENVIRONMENT_BUILD_SECONDS, ["built", "cached", "failed"])

    async def build(self, request: BuildEnvironment, progress: Progress) -> Environment:
        """Build or find the environment of the workspace's base commit."""
        with timed(ENVIRONMENT_BUILD_SECONDS, done="built") as timing:
            environment = await self._environment(request, progress)
            if environment.cached:
                timing.outcome = "cached"
            return environment

    async def _environment(self, request: BuildEnvironment, progress: Progress) -> Environment:
        started = time.monotonic()
        settings = _settings_of(request)
        await progress("detect", "looking at the project's files")
        answer = await self._workspaces.git(request.workspace_id, {"op": "facts", "paths": list(DECIDING)})
        facts = Facts(files=answer["files"], has_tests=answer["has_tests"], has_src=answer["has_src"])
        plan = plan_environment(facts, settings, self._settings.base_image)
        for note in plan.notes:
            await progress("detect", note)
        base = await self._base_image(plan)
        digest = _digest(base, plan, facts)
        tag = f"{REPOSITORY}:{digest[:40]}"
        async with self._building.setdefault(digest, asyncio.Lock()):
            found = await self._cached(tag, digest)
            cached = found is not None
            if found is None:
                await progress("prepare", f"building from {plan.recipe.base_image} ({plan.recipe.source})")
                found = await self._build(request, plan, base, digest, progress)
            else:
                await progress("ready", "the environment was built before")
        recipe = plan.recipe.model_copy(update={"input_digest": _input_digest(facts)})
        return Environment(
            image=tag,
            image_id=found,
            recipe=recipe,
            recipe_digest=digest,
            cached=cached,
            build_s=round(time.monotonic() - started, 2),
        )

    async def _base_image(self, plan: Plan) -> str:
        if plan.recipe.base_image == self._settings.base_image:
            return (await self._runtime.ensure()).base_image
        found = await self._engine.image_id(plan.recipe.base_image)
        if found is None:
            raise EnvironmentFailed(
                f"the image {plan.recipe.base_image} is not on this machine",
                phase="prepare",
                hint=f"pull it with `docker pull {plan.recipe.base_image}`, or set environment.image to another",
            )
        return found

    async def _cached(self, tag: str, digest: str) -> str | None:
        image = await self._engine.image(tag)
        config = cast(dict[str, Any], (image or {}).get("Config") or {})
        labels = cast(dict[str, str], config.get("Labels") or {})
        return str(image["Id"]) if image is not None and labels.get(LABELS["digest"]) == digest else None

    async def _build(
        self, request: BuildEnvironment, plan: Plan, base: str, digest: str, progress: Progress
    ) -> str:
        number = secrets.token_hex(12)
        volume, name = check_volume(number), f"hypercode-build-{number}"
        labels = self._containers.labels("build", request.project_id, request.workspace_id)
        sources = await asyncio.to_thread(lambda: package_sources(pip_options()))
        for note in sources.notes:
            await progress("prepare", note)
        hosts = [*self._settings.allowed_hosts, *sources.hosts]
        try:
            await self._engine.create_volume(volume, labels)
            checkout = CheckRequest(
                workspace_id=request.workspace_id, commit="refs/hypercode/base", image=base, argv=["true"]
            )
            await self._workspaces.checkout(checkout, volume)
            async with self._egress.opened(hosts) as link, asyncio.timeout(self._settings.build_timeout_s):
                mounts = [*link.mounts, *sources.mounts, Mount(volume, "/workspace")]
                config = await self._config(request, plan, base, mounts, sources.env, labels)
                return await self._run_builder(name, config, plan, digest, progress)
        except TimeoutError as failure:
            seconds = self._settings.build_timeout_s
            raise EnvironmentFailed(
                f"building the environment took longer than {seconds:.0f} s", phase="timeout", hint=HINT
            ) from failure
        finally:
            await asyncio.shield(self._engine.remove_volume(volume))

    async def _run_builder(
        self, name: str, config: dict[str, Any], plan: Plan, digest: str, progress: Progress
    ) -> str:
        """Run the builder and store what it made; return the image's id."""
        try:
            await self._engine.create(name, config)
            await self._engine.start(name)
            await self._follow(name, progress)
            await progress("commit", "storing the environment")
            return await self._commit(name, plan, digest)
        finally:
            await asyncio.shield(self._engine.remove(name))

    async def _config(
        self,
        request: BuildEnvironment,
        plan: Plan,
        base: str,
        mounts: list[Mount],
        pip_env: dict[str, str],
        labels: dict[str, str],
    ) -> dict[str, Any]:
        runtime = await self._runtime.ensure()
        _work, gitdir = workspace_volumes(request.workspace_id)
        env = {
            "PATH": PATH,
            "HOME": "/tmp/home",
            "LANG": "C.UTF-8",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            # Projects that take their version from git: the gitdir is there, owned by another user.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            **pip_env,
            **plan.recipe.env,
        }
        words = json.dumps({"steps": [asdict(step) for step in plan.steps], "env": env})
        chunks = [words[start : start + ARGUMENT] for start in range(0, len(words), ARGUMENT)]
        spec = ContainerSpec(
            image=base,
            argv=python("runner/builder.py", *chunks),
            mounts=[*runtime.mounts, Mount(gitdir, "/gitdir", True), *mounts],
            labels=labels,
            workdir="/workspace",
        )
        return builder_config(spec, self._settings)

    async def _follow(self, name: str, progress: Progress) -> None:
        """Pass the builder's lines on until its last one; raises EnvironmentFailed when that says so."""
        last: dict[str, Any] = {}
        async for line in self._engine.follow(name):
            try:
                last = json.loads(line)
            except ValueError:
                continue
            if last.get("type") == "progress":
                await progress(str(last["phase"]), str(last["message"]))
        if last.get("type") == "failed":
            phase = str(last["phase"])
            raise EnvironmentFailed(
                f"the environment can't be built: the step {phase!r} failed: {_reason(str(last['log']))}",
                phase=phase,
                log_tail=str(last["log"]),
                hint=HINT,
            )
        if last.get("type") != "done":
            words = (await self._engine.logs(name, stderr=True, tail="40"))[-4000:]
            raise EnvironmentFailed(
                "the builder ended without a word (out of memory, or its disk is full)",
                phase="build",
                log_tail=words,
                hint="raise HYPERCODE_SANDBOX__MEMORY_MB; " + HINT,
            )

    async def _commit(self, name: str, plan: Plan, digest: str) -> str:
        env = {"PATH": PATH, **plan.recipe.env}
        config = {
            "Env": [f"{key}={value}" for key, value in env.items()],
            "Labels": {**self._containers.labels("environment", "", ""), LABELS["digest"]: digest},
            "User": "10001:10001",
            "WorkingDir": "/workspace",
            "Entrypoint": None,
            "Cmd": ["/bin/sh"],
        }
        return await self._engine.commit(name, config, f"{REPOSITORY}:{digest[:40]}")


def _reason(log: str) -> str:
    """The line that says most: pip's last error, or else the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error:", "error ")) or "not found" in line]
    return (errors or lines or ["it said nothing"])[-1][:300]


def _settings_of(request: BuildEnvironment) -> EnvironmentSettings:
    try:
        return EnvironmentSettings.model_validate(request.settings)
    except ValidationError as failure:
        problem = failure.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise InvalidArgument(
            f"the project's environment setting {where} does not fit: {problem['msg']}"
        ) from None


def _input_digest(facts: Facts) -> str:
    return hashlib.sha256(json.dumps(facts.files, sort_keys=True).encode()).hexdigest()


def _digest(base: str, plan: Plan, facts: Facts) -> str:
    parts = {
        "base": base,
        "recipe": plan.recipe.model_dump(),
        "steps": [asdict(step) for step in plan.steps],
        "files": facts.files,
        "form": 2,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
