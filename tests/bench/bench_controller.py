"""Measures the controller: the real process on a real API server, with up to 10,000 week jobs of 1,000 students.

The API server runs alone, so nothing admits or runs what the controller makes: the bench plays the queue by letting
jobs out. Sizes are reached one after another on the same server. Everything shares this machine's cores: API server,
etcd, controller, and the bench itself; what each of them used is told, and what is left to others, since a rate on a
busy machine says nothing of the controller. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from controller_process import start_controller, write_certificate
from controller_stand import install_operators
from practicum_cluster.control_plane import start_alone
from practicum_cluster.daemons import TIED_TO_CALLER
from practicum_controller.client import KubernetesCluster
from practicum_controller.kinds import JOBS, WEEK_JOBS
from practicum_core.crd import KINDS, build_crd

METRICS_PORT = 19190
INGEST_PORT = 19191
WRITES = re.compile(r'^apiserver_request_total\{.*verb="(APPLY|PATCH|POST|PUT|DELETE)".*\} ([0-9.e+]+)$')
NOT_ITS_OWN = ("tokenreviews", "leases", "endpointslices", "flowschemas", "prioritylevelconfigurations", "apiservices")
MIB = 1024


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory(prefix="bench-controller-") as name:
        plane = start_alone(Path(name), TIED_TO_CALLER)
        try:
            results = asyncio.run(Bench(plane, Path(name), options).run())
        finally:
            plane.stop()
    print(json.dumps({"bench": "controller", "results": results}))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The controller at three sizes.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--students", type=int, default=1_000)
    parser.add_argument("--changes", type=int, default=300, help="children changed to measure the time to the status")
    return parser.parse_args()


class Bench:
    """The controller's process and the client that loads it."""

    def __init__(self, plane, folder, options):
        self.plane, self.folder, self.options = plane, folder, options
        self.students = [f"student-{number:04d}" for number in range(options.students)]
        self.children: dict[tuple[str, str], float] = {}
        self.phases: dict[tuple[str, str], tuple[str, float]] = {}
        self.results: dict[str, dict] = {}

    async def run(self):
        for kind in KINDS:
            self.plane.api.apply(build_crd(kind))
        install_operators(self.plane)
        write_certificate(self.folder)
        settings = Configuration()
        settings.connection_pool_maxsize = 64
        await config.load_kube_config(str(self.plane.kubeconfig), client_configuration=settings)
        self.cluster = KubernetesCluster(ApiClient(settings))
        process = self.start()
        try:
            await self.make_homes()
            watches = [asyncio.create_task(self.watch_jobs()), asyncio.create_task(self.watch_week_jobs())]
            for size in self.options.sizes:
                await self.grow(size, process.pid)
            await self.measure_latency()
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            self.stop(process)
            process = await self.measure_restart()
        finally:
            if process.poll() is None:
                self.stop(process)
            await self.cluster.close()
        return self.results

    def note(self, name, value, unit, goal=None, *, met=None):
        result = {"value": round(value, 3), "unit": unit}
        self.results[name] = result | ({"goal": goal, "met": met} if goal else {})
        print(f"{name}: {value:.3f} {unit}", file=sys.stderr, flush=True)

    def start(self):
        return start_controller(
            self.plane,
            self.folder,
            self.folder / "history.sqlite",
            self.folder / "controller.log",
            PRACTICUM_INGEST_PORT=INGEST_PORT,
            PRACTICUM_METRICS_PORT=METRICS_PORT,
            PRACTICUM_LEADER_ELECTION="false",
        )

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    async def make_homes(self):
        begun_s = time.perf_counter()
        course = {
            "apiVersion": "practicum.dev/v1alpha1",
            "kind": "Course",
            "metadata": {"name": "llm"},
            "spec": {"students": [{"name": one} for one in self.students]},
        }
        self.plane.api.apply(course)
        path = "/apis/practicum.dev/v1alpha1/courses/llm"
        while (await self.cluster.read(path) or {}).get("status", {}).get("phase") != "Ready":
            await asyncio.sleep(0.5)
        took_s = time.perf_counter() - begun_s
        self.note("homes_per_s", len(self.students) / took_s, "1/s")

    async def read_version(self, resource):
        return [version async for _, version in self.cluster.list_pages(resource)][-1]

    async def watch_jobs(self):
        version = await self.read_version(JOBS)
        while True:
            async for change, job in self.cluster.watch(JOBS, version):
                version = job["metadata"]["resourceVersion"]
                if change == "ADDED":
                    self.children[job["metadata"]["namespace"], job["metadata"]["name"]] = time.perf_counter()

    async def watch_week_jobs(self):
        version = await self.read_version(WEEK_JOBS)
        while True:
            async for _, one in self.cluster.watch(WEEK_JOBS, version):
                version = one["metadata"]["resourceVersion"]
                key = one["metadata"].get("namespace"), one["metadata"].get("name")
                phase = one.get("status", {}).get("phase", "")
                if self.phases.get(key, ("", 0))[0] != phase:
                    self.phases[key] = phase, time.perf_counter()

    async def grow(self, size, pid):
        present = len(self.children)
        before_s, machine_before_s = self.read_cpu(pid), read_busy_s()
        begun_s = time.perf_counter()
        turns = asyncio.Semaphore(16)

        async def create(number):
            namespace = self.students[number % len(self.students)]
            document = {
                "apiVersion": "practicum.dev/v1alpha1",
                "kind": "WeekJob",
                "metadata": {"name": f"week-{number // len(self.students):02d}", "namespace": namespace},
                "spec": {"unit": "experiments", "profile": "quick"},
            }
            async with turns:
                await self.cluster.create(WEEK_JOBS.build_path(namespace), document)

        await asyncio.gather(*(create(number) for number in range(present, size)))
        while len(self.children) < size:
            await asyncio.sleep(0.05)
        rate = (size - present) / (max(self.children.values()) - begun_s)
        largest = size == max(self.options.sizes)
        self.note(f"week_jobs_per_s_{size}", rate, "1/s", ">= 60" if largest else None, met=rate >= 60)
        while sum(phase == "Queued" for phase, _ in self.phases.values()) < size:
            await asyncio.sleep(0.1)
        self.note(f"week_jobs_settled_per_s_{size}", (size - present) / (time.perf_counter() - begun_s), "1/s")
        used_s = {name: after_s - before_s[name] for name, after_s in self.read_cpu(pid).items()}
        for name, one_s in used_s.items():
            self.note(f"{name}_cpu_ms_{size}", 1000 * one_s / (size - present), "ms a week job")
        others_s = read_busy_s() - machine_before_s - sum(used_s.values())
        self.note(f"others_cpus_{size}", others_s / (time.perf_counter() - begun_s), "CPUs")
        rss_mib = read_kib(pid, "VmHWM") / MIB
        self.note(f"rss_mib_{size}", rss_mib, "MiB", "<= 400" if largest else None, met=rss_mib <= 400)

    def read_cpu(self, pid):
        """Return the seconds of CPU that each process has used, the bench's own among them."""
        planes = {name: self.plane.daemons.find(name).pid for name in ("kube-apiserver", "etcd")}
        return {name: read_cpu_s(one) for name, one in (planes | {"controller": pid, "bench": os.getpid()}).items()}

    async def measure_latency(self):
        delays_s = []
        for namespace, name in list(self.children)[: self.options.changes]:
            week_job = name.removesuffix("-model-1")
            await self.cluster.patch(JOBS, namespace, name, {"spec": {"suspend": False}})
            begun_s = time.perf_counter()
            while self.phases[namespace, week_job][0] != "Initializing":
                await asyncio.sleep(0.002)
            delays_s.append(max(self.phases[namespace, week_job][1] - begun_s, 0.0))
        delays_s.sort()
        p99_s = delays_s[int(0.99 * (len(delays_s) - 1))]
        self.note("change_to_status_median_s", delays_s[len(delays_s) // 2], "s")
        self.note("change_to_status_p99_s", p99_s, "s", "<= 2", met=p99_s <= 2)

    async def measure_restart(self):
        size = max(self.options.sizes)
        before = self.count_writes()
        begun_s = time.perf_counter()
        process = self.start()
        while read_reconciliations() < size:
            await asyncio.sleep(0.5)
        took_s = time.perf_counter() - begun_s
        await asyncio.sleep(3)
        writes = self.count_writes() - before
        self.note("restart_s", took_s, "s", "<= 60", met=took_s <= 60)
        self.note("restart_writes", writes, "", "0", met=writes == 0)
        rss_mib = read_kib(process.pid, "VmHWM") / MIB
        self.note("restart_rss_mib", rss_mib, "MiB", "<= 400", met=rss_mib <= 400)
        return process

    def count_writes(self):
        text = self.plane.api.send("GET", "/metrics")[1]
        total = 0.0
        for line in text.splitlines():
            match = WRITES.match(line)
            if match and not any(f'resource="{name}"' in line for name in NOT_ITS_OWN):
                total += float(match[2])
        return total


def read_reconciliations():
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    return float(re.search(r"^practicum_reconcile_seconds_count ([0-9.e+]+)$", text, re.MULTILINE)[1])


def read_cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_busy_s():
    """Return the seconds of CPU that the whole machine has used."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def read_kib(pid, name):
    text = Path(f"/proc/{pid}/status").read_text()
    return float(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[1])


if __name__ == "__main__":
    main()
