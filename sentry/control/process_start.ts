/**
 * Starting a container's processes from outside: init by `create`, others by `exec`. Turns an OCI
 * process into a Task that is ready to run.
 */

import { byteString } from '../../native/bytes.ts';
import { type ControlError, MESSAGES } from '../../spec/control/protocol.ts';
import { capabilityNumber } from '../../spec/linux/capability.ts';
import {
  EACCES,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOEXEC,
  ENOTDIR,
  errnoName,
  strerror,
} from '../../spec/linux/errno.ts';
import { O_RDONLY } from '../../spec/linux/fcntl.ts';
import { RLIMIT_NOFILE, rlimitNumber } from '../../spec/linux/resource.ts';
import { SI_KERNEL, SIGCHLD, SIGKILL } from '../../spec/linux/signal.ts';
import type { Capabilities, Process } from '../../spec/oci/config.ts';
import { decodeByteString } from '../base/byte_string.ts';
import { StringList } from '../base/string_list.ts';
import type { Container } from '../kernel/container.ts';
import { prepareProgram } from '../kernel/exec.ts';
import { FdTable } from '../kernel/fd_table.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { ResourceLimits, RLIMIT_COUNT } from '../kernel/resource_limits.ts';
import { SignalHandlers } from '../kernel/signal.ts';
import { sendToGroup } from '../kernel/signal_send.ts';
import { Task } from '../kernel/task.ts';
import { ProcessGroup, Session, ThreadGroup } from '../kernel/thread_group.ts';
import { IoBuffer } from '../mm/io_buffer.ts';
import type { FsCaller } from '../vfs/caller.ts';
import {
  type CapabilitySet,
  Credentials,
  NO_CAPABILITIES,
  uniteCapabilities,
} from '../vfs/credentials.ts';
import { FsContext } from '../vfs/fs_context.ts';
import type { Path } from '../vfs/mount.ts';
import { openFile } from '../vfs/operations/open.ts';
import { MAY_EXEC, permission } from '../vfs/permission.ts';
import { bootCaller } from './boot_caller.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DEFAULT_UMASK = 0o022;
/** fs.nr_open: no process has more descriptors, whatever its limit says. */
const NR_OPEN = 1048576;
/** Of /etc/passwd, that much is looked at. */
const MAX_PASSWD_BYTES = 262144;

function capabilitySet(names: readonly string[] | undefined): CapabilitySet {
  let set = NO_CAPABILITIES;
  for (const name of names ?? []) {
    const n = capabilityNumber(name);
    if (n >= 0) set = uniteCapabilities(set, 2 ** n);
  }
  return set;
}

function processCredentials(p: Process): Credentials {
  const caps: Capabilities = p.capabilities ?? {};
  const uid = p.user?.uid ?? 0;
  const groups = p.user?.additionalGids ?? [];
  return Credentials.of(uid, p.user?.gid ?? 0, groups, NO_CAPABILITIES).with({
    permitted: capabilitySet(caps.permitted),
    effective: capabilitySet(caps.effective),
    inheritable: capabilitySet(caps.inheritable),
    bounding: capabilitySet(caps.bounding),
    ambient: capabilitySet(caps.ambient),
    noNewPrivs: p.noNewPrivileges ?? false,
  });
}

function processLimits(p: Process): ResourceLimits {
  const limits = new ResourceLimits();
  for (const { type, soft, hard } of p.rlimits ?? []) {
    const resource = rlimitNumber(type);
    if (resource >= 0 && resource < RLIMIT_COUNT) {
      const most = resource === RLIMIT_NOFILE ? NR_OPEN : Number.POSITIVE_INFINITY;
      limits.set(resource, {
        soft: Math.min(unlimited(soft), most),
        hard: Math.min(unlimited(hard), most),
      });
    }
  }
  return limits;
}

/** RLIM_INFINITY arrives as 2^64 - 1, which JSON rounds. */
function unlimited(value: number): number {
  return value > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value;
}

/** The error for a program that cannot run, in the words that Docker looks for. */
function programError(name: string, r: number): ControlError {
  const errno = -r;
  const quoted = `exec: ${JSON.stringify(name)}: `;
  switch (errno) {
    case ENOENT:
    case ENOTDIR: {
      const text = name.includes('/') ? `stat ${name}: ${MESSAGES.noSuchFile}` : MESSAGES.notInPath;
      return { message: quoted + text, errno, exitCode: 127 };
    }
    case EACCES:
    case EISDIR:
      return { message: quoted + MESSAGES.permissionDenied, errno, exitCode: 126 };
    case ENOEXEC:
      return { message: `${quoted}exec format error`, errno, exitCode: 126 };
    default:
      return {
        message: `${quoted}${strerror(errno).toLowerCase()} (${errnoName(errno)})`,
        errno,
        exitCode: errno === ELOOP ? 127 : 126,
      };
  }
}

/** Finds `name` as execvp(3) does, with the environment's PATH. */
function findProgram(
  container: Container,
  caller: FsCaller,
  name: string,
  env: readonly string[],
): { readonly path: Path; readonly filename: string } | number {
  const { namei } = container.kernel.vfs;
  if (name.includes('/')) {
    const path = namei.lookup(caller, name, { follow: true });
    return typeof path === 'number' ? path : { path, filename: name };
  }
  const setting = env.find((e) => e.startsWith('PATH='));
  let result = -ENOENT;
  for (const dir of (setting?.slice(5) ?? DEFAULT_PATH).split(':')) {
    const filename = `${dir === '' ? '.' : dir}/${name}`;
    const path = namei.lookup(caller, filename, { follow: true });
    if (typeof path === 'number') continue;
    const inode = path.dentry.inode;
    if (inode?.isRegular && permission(inode, caller.creds, MAY_EXEC) === 0) {
      return { path, filename };
    }
    if (inode?.isRegular) result = -EACCES;
  }
  return result;
}

/** Adds HOME from the container's /etc/passwd when the configuration does not set it, as runc does. */
function withHome(env: string[], kernel: Kernel, caller: FsCaller): string[] {
  if (env.some((e) => e.startsWith('HOME='))) return env;
  const uid = String(caller.creds.uid);
  for (const line of readText(kernel, caller, '/etc/passwd').split('\n')) {
    const [, , id, , , home] = line.split(':');
    if (id === uid && home) return [...env, `HOME=${home}`];
  }
  return [...env, 'HOME=/'];
}

/** A file of the container as a byte string; '' when it cannot be read. */
function readText(kernel: Kernel, caller: FsCaller, path: string): string {
  const file = openFile(kernel.vfs, caller, undefined, path, { flags: O_RDONLY, mode: 0 });
  if (typeof file === 'number') return '';
  const bytes = new Uint8Array(MAX_PASSWD_BYTES);
  const n = file.inode.isRegular ? file.pread(caller, IoBuffer.over(bytes), 0) : 0;
  file.close();
  return decodeByteString(bytes, 0, Math.max(0, n));
}

/** Gives a new process its descriptors 0, 1, 2 and perhaps a controlling terminal. */
export type StdioSetup = (files: FdTable, session: Session, group: ThreadGroup) => string | null;

/**
 * Makes the process; it runs once it is put on the run queue. `initial` makes it the container's init.
 */
export function startProcess(
  container: Container,
  p: Process,
  initial: boolean,
  stdio: StdioSetup,
): ThreadGroup | ControlError {
  const { kernel } = container;
  const creds = processCredentials(p);
  const root = container.mounts.rootPath;
  const fs = new FsContext(container.mounts, root, root, p.user?.umask ?? DEFAULT_UMASK);
  const caller = bootCaller(container, creds, fs);
  const env = withHome((p.env ?? []).map(byteString), kernel, caller);
  const args = p.args.map(byteString);
  const limits = processLimits(p);
  const fail = (error: ControlError): ControlError => {
    fs.release();
    return error;
  };
  const cwd = kernel.vfs.namei.lookup(caller, byteString(p.cwd), { follow: true });
  if (typeof cwd === 'number' || cwd.dentry.inode?.isDirectory !== true) {
    const reason = typeof cwd === 'number' ? strerror(-cwd).toLowerCase() : 'not a directory';
    return fail({ message: `process.cwd: ${p.cwd}: ${reason}: name a directory of the container` });
  }
  fs.setCwd(cwd);
  const name = args[0] as string;
  const found = findProgram(container, caller, name, env);
  if (typeof found === 'number') return fail(programError(p.args[0] as string, found));
  const argv = StringList.of(args);
  const envp = StringList.of(env);
  const program = prepareProgram(kernel, caller, { ...found, argv, envp, limits });
  if (typeof program === 'number') return fail(programError(p.args[0] as string, program));

  const pids = container.pids;
  const pid = pids.allocate();
  const group = new ThreadGroup(
    { pid, parent: null, handlers: new SignalHandlers(), limits, exitSignal: SIGCHLD },
    kernel.clock.monotonicNs(),
  );
  if (initial) pids.init = group;
  else group.fromOutside = true;
  group.oomScoreAdj = p.oomScoreAdj ?? 0;
  group.setExecutable(program.executable);
  const files = new FdTable();
  const task = new Task({
    kernel,
    container,
    group,
    tid: pid,
    mm: program.mm,
    files,
    fs,
    creds: program.creds,
    context: program.context,
    name: program.program.name,
  });
  group.leader = task;
  group.tasks.add(task);
  pids.tasks.set(pid, task);
  pids.groups.set(pid, group);
  const session = new Session(pid, group);
  const processGroup = new ProcessGroup(pid, session);
  pids.sessions.set(pid, session);
  pids.processGroups.set(pid, processGroup);
  group.joinProcessGroup(processGroup);
  const problem = stdio(files, session, group);
  if (problem === null) return group;
  // It is in everybody's tables by now: it leaves them as any killed process does.
  sendToGroup(group, { signo: SIGKILL, code: SI_KERNEL });
  kernel.ready(task);
  return { message: problem };
}
