/**
 * What a forked child does before its main: leaves the CLI's session, descriptors and cgroup and
 * enters the namespaces it was planned for. Runs with one thread, so whole-process calls are sound.
 * A step that fails ends the child with a line on its stderr, which the CLI passes on.
 */

import { byteString } from '../../native/bytes.ts';
import * as native from '../../native/fs.ts';
import { syscall } from '../../native/index.ts';
import * as proc from '../../native/process.ts';
import { setControllingTerminal } from '../../native/tty.ts';
import { strerror } from '../../spec/linux/errno.ts';
import { O_CLOEXEC, O_RDONLY, O_RDWR, O_WRONLY } from '../../spec/linux/fcntl.ts';
import { PR_SET_PDEATHSIG } from '../../spec/linux/prctl.ts';
import { RLIMIT_NOFILE } from '../../spec/linux/resource.ts';
import * as clone from '../../spec/linux/sched.ts';
import * as signal from '../../spec/linux/signal.ts';
import { SYS_rt_sigaction } from '../../spec/linux/syscall_numbers.ts';
import type { NamespaceType } from '../../spec/oci/config.ts';
import type { ChildPlan } from './host.ts';

const CLONE_FLAGS: Readonly<Record<NamespaceType, number>> = {
  pid: clone.CLONE_NEWPID,
  network: clone.CLONE_NEWNET,
  mount: clone.CLONE_NEWNS,
  ipc: clone.CLONE_NEWIPC,
  uts: clone.CLONE_NEWUTS,
  user: clone.CLONE_NEWUSER,
  cgroup: clone.CLONE_NEWCGROUP,
  time: clone.CLONE_NEWTIME,
};

/** The kernel's struct sigaction: handler, flags, restorer, mask; all zero is SIG_DFL. */
const SIGACTION_LENGTH = 32;
const LAST_SIGNAL = 64;
const KEPT_SIGNALS: readonly number[] = [
  signal.SIGILL,
  signal.SIGTRAP,
  signal.SIGABRT,
  signal.SIGBUS,
  signal.SIGFPE,
  signal.SIGSEGV,
  signal.SIGPIPE,
];

/** Exit status of a child that runsc, not its program, made fail; its stderr says why. */
const SETUP_FAILED = 128;

/** What the child cannot see from where it is. */
export interface Origin {
  readonly parentPid: number;
  readonly uid: number;
  readonly gid: number;
  /** CLONE_NEW* flags of the namespaces it was forked into. */
  readonly entered: number;
}

/** Prepares this process, runs `main` and exits with what it returns. */
export function runChild(plan: ChildPlan, origin: Origin, main: () => number): never {
  try {
    enter(plan, origin);
    return proc.exit(main());
  } catch (thrown) {
    const bug = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    const text = thrown instanceof SetupError ? thrown.message : `${plan.name}: ${bug}`;
    native.write(2, Buffer.from(`error: ${text}\n`));
    return proc.exit(SETUP_FAILED);
  }
}

function enter(plan: ChildPlan, origin: Origin): void {
  takeDescriptors(plan);
  must('setsid', proc.setsid());
  if (plan.dieWithParent) {
    proc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL);
    // Seen from a pid namespace of our own, the parent has no number. What we do then ends with the
    // connections that it held.
    const seen = proc.getppid();
    if (seen !== 0 && seen !== origin.parentPid) proc.exit(SETUP_FAILED);
  }
  resetSignals();
  proc.setProcessName(plan.name);
  if (plan.controllingTerminalFd >= 0) {
    must('cannot take the terminal', setControllingTerminal(plan.controllingTerminalFd));
    native.close(plan.controllingTerminalFd);
  }
  for (const at of plan.cgroups) writeFile(`${at}/cgroup.procs`, '0', 'cannot join the cgroup');
  if (plan.oomScoreAdj !== undefined) {
    // Lowering it takes CAP_SYS_RESOURCE: without, the container keeps what it inherits.
    tryWriteFile('/proc/self/oom_score_adj', String(plan.oomScoreAdj));
  }
  raiseDescriptorLimit();
  if ((origin.entered & clone.CLONE_NEWUSER) !== 0) mapUser(origin);
  else if (plan.userNamespace) runWithout(plan, 'own user namespace');
  if (plan.pidNamespace && (origin.entered & clone.CLONE_NEWPID) === 0) {
    runWithout(plan, 'own pid namespace');
  }
  for (const namespace of plan.namespaces) {
    if (namespace.path !== undefined && namespace.path !== '') {
      joinNamespace(namespace.type, namespace.path);
    } else {
      const made = proc.unshare(CLONE_FLAGS[namespace.type]);
      // In a container without privileges: the Sentry reaches none of it all the same.
      if (made < 0) runWithout(plan, `own ${namespace.type} namespace (errno ${-made})`);
    }
  }
}

/** A layer that the host refuses, said in the debug log. */
function runWithout(plan: ChildPlan, layer: string): void {
  const line = `${plan.name}: running without ${layer}\n`;
  if (plan.debugLogFd >= 0) native.write(plan.debugLogFd, Buffer.from(line));
}

/** Leaves 0, 1 (null), 2 (plan) and what the plan keeps. */
function takeDescriptors(plan: ChildPlan): void {
  const nothing = must('cannot open /dev/null', native.open('/dev/null', O_RDWR | O_CLOEXEC));
  const keep = [...plan.keepFds, plan.controllingTerminalFd].filter((fd) => fd > 2);
  native.dup3(nothing, 0, 0);
  native.dup3(nothing, 1, 0);
  if (plan.stderrFd !== 2) native.dup3(plan.stderrFd < 0 ? nothing : plan.stderrFd, 2, 0);
  proc.closeAllBut(keep);
}

/**
 * Handlers of libuv and Node would write to descriptors that are closed here. The faults stay with
 * V8, and SIGPIPE stays ignored.
 */
function resetSignals(): void {
  const standard = new Uint8Array(SIGACTION_LENGTH);
  for (let signo = 1; signo <= LAST_SIGNAL; signo++) {
    if (!KEPT_SIGNALS.includes(signo)) syscall(SYS_rt_sigaction, signo, standard, null, 8);
  }
  proc.sigprocmask(signal.SIG_SETMASK, [0, 0]);
}

function raiseDescriptorLimit(): void {
  const limit = proc.prlimit(0, RLIMIT_NOFILE, null);
  if (typeof limit === 'number') return;
  proc.prlimit(0, RLIMIT_NOFILE, { soft: limit.hard, hard: limit.hard });
}

/** Root inside, ourselves outside. */
function mapUser({ uid, gid }: Origin): void {
  tryWriteFile('/proc/self/setgroups', 'deny');
  writeFile('/proc/self/uid_map', `0 ${uid} 1`, 'cannot map the user');
  writeFile('/proc/self/gid_map', `0 ${gid} 1`, 'cannot map the group');
}

function joinNamespace(type: NamespaceType, path: string): void {
  const what = `config.json: linux.namespaces: cannot join the ${type} namespace ${path}`;
  const fd = must(what, native.open(byteString(path), O_RDONLY | O_CLOEXEC));
  must(what, proc.setns(fd, CLONE_FLAGS[type]));
  native.close(fd);
}

function writeFile(file: string, text: string, what: string): void {
  must(`${what}: ${file}`, tryWriteFile(file, text));
}

function tryWriteFile(file: string, text: string): number {
  const fd = native.open(byteString(file), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  const written = native.write(fd, Buffer.from(text));
  native.close(fd);
  return written;
}

/** The host refuses a step: no bug of ours. */
class SetupError extends Error {}

function must(what: string, result: number): number {
  if (result < 0) throw new SetupError(`${what}: ${strerror(-result).toLowerCase()}`);
  return result;
}
