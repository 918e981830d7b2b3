"""Replicas, hooks and backups: what keeps an installation up, and what it comes back from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.infra.manifests import Manifests, Object, host_environment, is_selected, rendered_with

WEIGHT = "helm.sh/hook-weight"


def test_production_scales_from_more_than_one(production: Manifests) -> None:
    scalers = production.of("HorizontalPodAutoscaler")
    assert "soma-api" in scalers
    for scaler in scalers.values():
        target = production.of("Deployment")[scaler["spec"]["scaleTargetRef"]["name"]]
        assert 2 <= scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]
        # Set here too, every upgrade would undo what the scaler had decided.
        assert "replicas" not in target["spec"]
    assert scalers["soma-api"]["spec"]["minReplicas"] == 3
    assert production.of("Deployment")["soma-worker"]["spec"]["replicas"] >= 2


def test_a_drain_leaves_somebody(production: Manifests) -> None:
    budgets = production.of("PodDisruptionBudget")
    assert budgets.keys() == production.of("Deployment").keys()
    for name, budget in budgets.items():
        [pod] = [p for p in production.pods if is_selected(p.labels, budget["spec"]["selector"])]
        assert pod.owner["metadata"]["name"] == name
        scaler = production.of("HorizontalPodAutoscaler").get(name)
        replicas = scaler["spec"]["minReplicas"] if scaler else pod.owner["spec"]["replicas"]
        assert 1 <= budget["spec"]["maxUnavailable"] < replicas


def test_replicas_are_spread_over_hosts_and_zones(production: Manifests) -> None:
    for name, deployment in production.of("Deployment").items():
        template = deployment["spec"]["template"]
        spread = {c["topologyKey"]: c for c in template["spec"]["topologySpreadConstraints"]}
        assert spread.keys() == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        assert spread["kubernetes.io/hostname"]["whenUnsatisfiable"] == "DoNotSchedule", name
        for constraint in spread.values():
            assert is_selected(template["metadata"]["labels"], constraint["labelSelector"])


def test_without_autoscaling_the_number_is_yours(chart: None) -> None:
    manifests = rendered_with(
        "prod-ha", "--set=api.autoscaling.enabled=false,api.replicas=5,worker.replicas=4"
    )

    assert manifests.of("Deployment")["soma-api"]["spec"]["replicas"] == 5
    assert manifests.of("Deployment")["soma-worker"]["spec"]["replicas"] == 4
    assert "soma-api" not in manifests.of("HorizontalPodAutoscaler")


def test_the_schema_comes_before_what_needs_it(production: Manifests) -> None:
    assert hooks_of(production) == {
        ("ServiceAccount", "soma-migrate"): ("pre-install,pre-upgrade", -5),
        ("NetworkPolicy", "soma-migrate"): ("pre-install,pre-upgrade", -5),
        ("Job", "soma-migrate"): ("pre-install,pre-upgrade", 0),
    }


def test_a_database_of_the_charts_is_there_before_it_is_migrated(development: Manifests) -> None:
    assert {when for when, _ in hooks_of(development).values()} == {"post-install,pre-upgrade"}


def test_the_migration_needs_nothing_that_comes_after_it(production: Manifests) -> None:
    """Before the first install there are only its own account and policy, and what is yours."""
    pod = production.pod("migrate")
    [container] = pod.containers

    assert "envFrom" not in container
    assert pod.spec["serviceAccountName"] == "soma-migrate"
    assert all(
        "emptyDir" in volume or volume["secret"]["secretName"] in {"soma-secrets", "authorities"}
        for volume in pod.spec["volumes"]
    )
    [secrets] = [volume["secret"] for volume in pod.spec["volumes"] if volume["name"] == "secrets"]
    assert [item["path"] for item in secrets["items"]] == ["postgres_url"]
    assert pod.owner["spec"]["activeDeadlineSeconds"] > 0


def test_a_backup_runs_alone_and_ends(production: Manifests) -> None:
    [backup] = production.of("CronJob").values()

    assert backup["spec"]["concurrencyPolicy"] == "Forbid"
    assert backup["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 0
    [claim] = production.of("PersistentVolumeClaim").values()
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_claim_of_yours_takes_the_backups(chart: None) -> None:
    manifests = rendered_with("prod-ha", "--set=backup.existingClaim=mine")

    assert manifests.of("PersistentVolumeClaim") == {}
    volumes = {volume["name"]: volume for volume in manifests.pod("backup").spec["volumes"]}
    assert volumes["backup"]["persistentVolumeClaim"]["claimName"] == "mine"


def test_every_process_that_erases_notes_it_outside_of_the_database(production: Manifests) -> None:
    for component in ("api", "worker", "backup"):
        pod = production.pod(component)
        path = Path(production.environment(pod)["SOMA_ERASURE_LEDGER"])
        [mount] = [m for m in pod.containers[0]["volumeMounts"] if m["name"] == "erasures"]
        assert mount["mountPath"] == str(path.parent)
        assert not mount.get("readOnly")
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        assert volumes["erasures"]["persistentVolumeClaim"]["claimName"] == "erasures"


def test_the_oldest_backups_go_after_a_new_one(chart: None, tmp_path: Path) -> None:
    folder = backup_folder(tmp_path)

    done = run_backup(tmp_path, to='mkdir "$3"', verify='test -d "$3"', keep=3)

    left = sorted(path.name for path in folder.iterdir())
    assert done.returncode == 0, done.stderr
    assert left[:2] == ["20260104T000000Z", "20260105T000000Z"]
    assert left[-2:] == ["mine", "notes.txt"]
    assert len(left) == 5


@pytest.mark.parametrize(
    ("to", "verify"), [("exit 1", "exit 0"), ("exit 0", "exit 1")], ids=["to", "verify"]
)
def test_a_backup_that_fails_deletes_nothing(
    chart: None, tmp_path: Path, to: str, verify: str
) -> None:
    folder = backup_folder(tmp_path)
    before = sorted(folder.iterdir())

    done = run_backup(tmp_path, to=to, verify=verify, keep=1)

    assert done.returncode != 0
    assert sorted(folder.iterdir()) == before


def hooks_of(manifests: Manifests) -> dict[tuple[str, str], tuple[str, int]]:
    """Return when each hook runs, and its weight."""

    def annotations(item: Object) -> dict[str, str]:
        found: dict[str, str] = item["metadata"].get("annotations", {})
        return found

    return {
        (item["kind"], item["metadata"]["name"]): (
            annotations(item)["helm.sh/hook"],
            int(annotations(item)[WEIGHT]),
        )
        for item in manifests.all
        if "helm.sh/hook" in annotations(item)
    }


def backup_folder(tmp_path: Path) -> Path:
    """Make a folder with five backups and two things that are none."""
    folder = tmp_path / "backup"
    for day in range(1, 6):
        (folder / f"2026010{day}T000000Z").mkdir(parents=True)
    (folder / "mine").mkdir()
    (folder / "notes.txt").touch()
    return folder


def run_backup(
    tmp_path: Path, *, to: str, verify: str, keep: int
) -> subprocess.CompletedProcess[str]:
    """Run the CronJob's own script, with a `soma` that does as told and another folder."""
    manifests = rendered_with("prod-ha", f"--set=backup.keep={keep}")
    pod = manifests.pod("backup")
    [container] = pod.containers
    programs = tmp_path / "bin"
    programs.mkdir()
    doing = f'"backup --to") {to};; "backup --verify") {verify};; *) exit 9;;'
    (programs / "soma").write_text(f'#!/bin/sh\ncase "$1 $2" in {doing} esac\n')
    (programs / "soma").chmod(0o755)
    host = host_environment()
    kept = manifests.environment(pod)["BACKUPS_KEPT"]
    return subprocess.run(
        [*container["command"], container["args"][0].replace("/backup/", f"{tmp_path}/backup/")],
        env={"PATH": f"{programs}:{host['PATH']}", "BACKUPS_KEPT": kept},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
