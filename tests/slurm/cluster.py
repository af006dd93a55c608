"""A real SLURM cluster of one node on this machine, from Debian's packages, without systemd.

All of it is in one folder and on ports of its own at 127.0.0.1; its daemons are children of this
process, and are ended by their process ids. Its GPUs are copies of /dev/null: SLURM hands them out
one by one as it does real ones. Needs root, since slurmd starts jobs and devices are made.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
HOST = socket.gethostname().partition(".")[0]
START_S = 60.0
"""Seconds that a daemon gets to answer."""

SLURM_CONF = """\
ClusterName=tst
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
MpiDefault=none
SwitchType=switch/none
SelectType=select/{select}
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=15
MinJobAge={min_job_age_s}
DefMemPerCPU=100
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 Gres=gpu:{gpus} State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=gpu Nodes={host} Default=YES MaxTime={limit_min} State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime={limit_min} State=UP PriorityTier=10 PreemptMode=OFF
"""
URGENT = "urgent"
"""The partition whose jobs take the place of the others'."""
ACCOUNTING_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/run/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
"""
NO_ACCOUNTING_CONF = "AccountingStorageType=accounting_storage/none\n"
SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd_port}
CommunicationParameters=NoInAddrAny
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm_acct_db
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
"""
DATABASE_SQL = """\
create database slurm_acct_db;
create user slurm@localhost identified by '{password}';
create user slurm@127.0.0.1 identified by '{password}';
grant all on slurm_acct_db.* to slurm@localhost;
grant all on slurm_acct_db.* to slurm@127.0.0.1;
"""


class ClusterError(Exception):
    """The cluster did not come up; the message says which part, and ends with its log."""


@dataclass
class Cluster:
    """A cluster in a folder, which must not exist yet.

    Attributes:
        folder: what everything is kept in; its path must be short, for the sockets.
        accounting: whether there is slurmdbd, and MariaDB behind it.
        gpus: devices of the node.
        limit_min: the partition's longest job, in minutes.
        min_job_age_s: how long a job that has ended stays visible to squeue.
        select: SLURM's plugin that picks resources; `cons_res`, the older, has no `--gpus`.
        more: further lines of slurm.conf, with {host} for the node's name.
        accounts: what sacctmgr is told before the controller starts, a line each.
    """

    folder: Path
    accounting: bool = True
    gpus: int = 2
    limit_min: int = 60
    min_job_age_s: int = 300
    select: str = "cons_tres"
    more: str = ""
    accounts: Sequence[str] = ()
    _daemons: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The variables under which commands speak to this cluster.

        The plugin takes SLURM_CONF away from the `srun` within a job, as it does all variables of
        SLURM's; a site has its configuration in /etc. So a `srun` that sets it comes first on PATH.
        """
        path = f"{self.folder}/bin:{os.environ['PATH']}:{SBIN}"
        return os.environ | {"SLURM_CONF": f"{self.folder}/slurm.conf", "PATH": path}

    def run(self, *command: str, timeout_s: float = 60.0) -> str:
        """Run a command on the cluster and give its standard output; it must go well."""
        done = subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise ClusterError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Bring it up; the node is idle then."""
        self._prepare()
        self._spawn(
            "munged",
            "--foreground",
            f"--key-file={self.folder}/munge/key",
            f"--socket={self.folder}/run/munge.socket",
            f"--pid-file={self.folder}/run/munged.pid",
            f"--seed-file={self.folder}/munge/seed",
            f"--log-file={self.folder}/log/munged.log",
            "--num-threads=2",
        )
        self._until("munged", (self.folder / "run" / "munge.socket").exists)
        if self.accounting:
            self._start_accounting()
        self._spawn("slurmctld", "-D")
        self._until("slurmctld", lambda: self._answers("scontrol", "ping"))
        self._spawn("slurmd", "-D", "-N", HOST)
        self._until("slurmd", lambda: "idle" in self._output("sinfo", "-h", "-o", "%T"))

    def stop(self) -> None:
        """Cancel all jobs, end the daemons, the last first, then what jobs have left running.

        Each is ended by its process id. Without cgroups SLURM loses sight of a process whose parent
        has ended, such as the Snakemake of a batch script that was requeued.
        """
        if dict(self._daemons).keys() >= {"slurmctld", "slurmd"}:
            self._output("scancel", "--user=root")
            end = time.monotonic() + 20
            while self._output("squeue", "--noheader") and time.monotonic() < end:
                time.sleep(0.2)
        for _, process in reversed(self._daemons):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._daemons.clear()
        for pid in self._left_over():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _left_over(self) -> list[int]:
        """Return the processes of this cluster's jobs, with its folder on PATH or its log open."""
        mine = f"{self.folder}/bin:".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
                files = [os.readlink(path) for path in (folder / "fd").iterdir()]
            except OSError:
                continue
            in_job = any(variable.startswith(b"SLURM_JOB_ID=") for variable in variables)
            in_job = in_job and any(v.startswith(b"PATH=") and mine in v for v in variables)
            if in_job or f"{self.folder}/log/slurmd.log" in files:
                found.append(int(folder.name))
        return found

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        for name in ("run", "log", "state", "spool", "munge", "db", "dev", "bin"):
            (self.folder / name).mkdir()
        (self.folder / "munge").chmod(0o700)
        key = self.folder / "munge" / "key"
        key.touch(mode=0o400)
        key.write_bytes(secrets.token_bytes(128))
        for i in range(self.gpus):
            device = os.makedev(1, 3)  # that of /dev/null
            os.mknod(self.folder / "dev" / f"gpu{i}", 0o20666, device)
        ports = free_ports(4)
        values = {
            "folder": self.folder,
            "host": HOST,
            "password": secrets.token_hex(12),
            "gpus": self.gpus,
            "limit_min": self.limit_min,
            "min_job_age_s": self.min_job_age_s,
            "select": self.select,
            **dict(
                zip(("ctld_port", "slurmd_port", "dbd_port", "database_port"), ports, strict=True)
            ),
        }
        conf = SLURM_CONF + (ACCOUNTING_CONF if self.accounting else NO_ACCOUNTING_CONF)
        conf += self.more
        (self.folder / "slurm.conf").write_text(conf.format(**values))
        (self.folder / "gres.conf").write_text(
            f"NodeName={HOST} Name=gpu File={self.folder}/dev/gpu[0-{self.gpus - 1}]\n"
        )
        (self.folder / "slurmdbd.conf").touch(mode=0o600)
        (self.folder / "slurmdbd.conf").write_text(SLURMDBD_CONF.format(**values))
        (self.folder / "db.sql").touch(mode=0o600)
        (self.folder / "db.sql").write_text(DATABASE_SQL.format(**values))
        self._database_port = ports[3]
        srun = self.folder / "bin" / "srun"
        srun.write_text(
            f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n'
        )
        srun.chmod(0o755)

    def _start_accounting(self) -> None:
        sock = f"{self.folder}/run/db.sock"
        self.run(
            "mariadb-install-db",
            "--no-defaults",
            "--user=root",
            f"--datadir={self.folder}/db",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        self._spawn(
            "mariadbd",
            "--no-defaults",
            "--user=root",
            f"--datadir={self.folder}/db",
            f"--socket={sock}",
            f"--pid-file={self.folder}/run/db.pid",
            "--bind-address=127.0.0.1",
            f"--port={self._database_port}",
        )
        client = ("mariadb", "--no-defaults", "--user=root", f"--socket={sock}")
        self._until("mariadbd", lambda: self._answers(*client, "-e", "select 1"))
        self.run(*client, "-e", (self.folder / "db.sql").read_text())
        self._spawn("slurmdbd", "-D")
        self._until("slurmdbd", lambda: self._answers("sacctmgr", "-n", "show", "cluster"))
        for words in ("add cluster tst", *self.accounts):
            self.run("sacctmgr", "-i", *words.split())

    def _spawn(self, name: str, *arguments: str) -> None:
        with open(self.folder / "log" / f"{name}.out", "wb") as output:
            process = subprocess.Popen(
                [name, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # an interrupt at the keyboard is not for them
            )
        self._daemons.append((name, process))

    def _answers(self, *command: str) -> bool:
        try:
            self.run(*command, timeout_s=5)
        except (ClusterError, subprocess.TimeoutExpired):
            return False
        return True

    def _output(self, *command: str) -> str:
        try:
            return self.run(*command, timeout_s=5)
        except (ClusterError, subprocess.TimeoutExpired):
            return ""

    def _until(self, name: str, ready: Callable[[], bool]) -> None:
        process = dict(self._daemons)[name]
        end = time.monotonic() + START_S
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                logs = sorted((self.folder / "log").glob(f"{name}.*"))
                tail = "\n".join(path.read_text(errors="replace")[-2000:] for path in logs)
                state = "does not answer" if process.poll() is None else "has ended"
                raise ClusterError(f"{name} {state}:\n{tail}")
            time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def running(cluster: Cluster) -> Iterator[Cluster]:
    """Bring a cluster up, and take it down whatever happens."""
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
