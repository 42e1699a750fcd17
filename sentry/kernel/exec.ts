/**
 * Running a program (execve(2); Linux's fs/exec.c): finding and checking the file, loading it into a
 * fresh address space, and only then giving up the old one.
 */
import { EACCES, ENOENT, ETXTBSY } from '../../spec/linux/errno.ts';
import { O_RDONLY } from '../../spec/linux/fcntl.ts';
import { MS_NOEXEC, MS_NOSUID } from '../../spec/linux/mount.ts';
import { RLIMIT_STACK } from '../../spec/linux/resource.ts';
import { SIGCHLD } from '../../spec/linux/signal.ts';
import { S_ISGID, S_ISUID, S_IXGRP } from '../../spec/linux/stat.ts';
import type { StringList } from '../base/string_list.ts';
import type { ElfImage } from '../loader/elf.ts';
import { type LoadedProgram, loadProgram, type ProgramFile } from '../loader/load.ts';
import { isScript } from '../loader/script.ts';
import { IoBuffer } from '../mm/io_buffer.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';
import { type Context, REG_RIP, REG_RSP } from '../platform/platform.ts';
import type { FsCaller } from '../vfs/caller.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { Inode } from '../vfs/inode.ts';
import type { Path } from '../vfs/mount.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { MAY_EXEC, permission } from '../vfs/permission.ts';
import { containerOf } from './container.ts';
import { credentialsForExec } from './exec_credentials.ts';
import { endVfork, exitTask } from './exit.ts';
import { leaveRobustFutexes, wakeClearedTid } from './futex_exit.ts';
import type { Kernel } from './kernel.ts';
import { claimMemory, memoryOwner } from './ptrace_access.ts';
import { memoryLimits, type ResourceLimits } from './resource_limits.ts';
import { TASK_DEAD, type Task } from './task.ts';

/** TASK_COMM_LEN without the NUL. */
const COMM_LENGTH = 15;

export interface ExecRequest {
  /** Where the program is: resolved, the last symlink followed. */
  readonly path: Path;
  /** As the caller named it: AT_EXECFN and what #! scripts are given. */
  readonly filename: string;
  /** By descriptor, without a name (fexecve(3)): comm is then the file's own name. */
  readonly nameless?: boolean;
  readonly argv: StringList;
  readonly envp: StringList;
  /** Of the process. */
  readonly limits: ResourceLimits;
  /** Other processes share the caller's root and working directory (CLONE_FS). */
  readonly observed?: boolean;
}

/** A program in an address space of its own, ready to run. */
export interface PreparedProgram {
  readonly mm: MemoryManager;
  readonly context: Context;
  readonly program: LoadedProgram;
  /** A reference of its own. */
  readonly executable: OpenFile;
  readonly creds: Credentials;
}

/** What was understood of files whose contents do not change. */
const images = new WeakMap<Inode, ElfImage>();

/** An open executable as the loader wants it. */
class ExecutableFile implements ProgramFile {
  readonly file: OpenFile;
  private readonly caller: FsCaller;

  constructor(file: OpenFile, caller: FsCaller) {
    this.file = file;
    this.caller = caller;
  }

  pread(dst: IoBuffer, offset: number): number {
    return this.file.pread(this.caller, dst, offset);
  }
  isScript(): boolean {
    const head = new Uint8Array(2);
    return this.pread(IoBuffer.over(head), 0) === head.length && isScript(head);
  }
  get image(): ElfImage | null {
    const { inode } = this.file;
    return inode.isConstant ? (images.get(inode) ?? null) : null;
  }
  set image(image: ElfImage | null) {
    const { inode } = this.file;
    if (image !== null && inode.isConstant) images.set(inode, image);
  }
  mappable(): ReturnType<OpenFile['mappable']> {
    return this.file.mappable();
  }
  close(): void {
    this.file.close();
  }
}

/** Opens `path` for execution with all of execve's checks. */
function openExecutable(caller: FsCaller, path: Path): ExecutableFile | number {
  const inode = path.dentry.inode;
  if (inode === null) return -ENOENT;
  if (!inode.isRegular || (path.mount.flags & MS_NOEXEC) !== 0) return -EACCES;
  const allowed = permission(inode, caller.creds, MAY_EXEC);
  if (allowed !== 0) return allowed;
  if (inode.writeCount > 0) return -ETXTBSY;
  const file = inode.open(caller, path, O_RDONLY);
  return typeof file === 'number' ? file : new ExecutableFile(file, caller);
}

/**
 * Loads a program for `caller` without touching anything of the caller's: on failure (-errno, as
 * execve(2) reports) nothing has happened.
 */
export function prepareProgram(
  kernel: Kernel,
  caller: FsCaller,
  r: ExecRequest,
): PreparedProgram | number {
  const file = openExecutable(caller, r.path);
  if (typeof file === 'number') return file;
  const inode = r.path.dentry.inode;
  const mode = inode === null ? 0 : setIdBits(inode.mode, file, r.path, caller.creds);
  const owner = {
    setUid: (mode & S_ISUID) !== 0 ? (inode?.uid ?? -1) : -1,
    setGid: (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP) ? (inode?.gid ?? -1) : -1,
  };
  const creds = credentialsForExec(caller.creds, owner, r.observed === true);
  const dumpable = gains(caller.creds, creds) ? 0 : 1;
  const whose = memoryOwner(containerOf(caller), creds, dumpable);
  const memory = kernel.newMemory(memoryLimits(r.limits, caller.creds), whose);
  if (typeof memory === 'number') {
    file.close();
    return memory;
  }
  const { mm, context } = memory;
  const program = loadProgram(mm, {
    file,
    filename: r.filename,
    argv: r.argv,
    envp: r.envp,
    open: (name) => {
      const found = kernel.vfs.namei.lookup(caller, name, { follow: true });
      return typeof found === 'number' ? found : openExecutable(caller, found);
    },
    uid: creds.uid,
    euid: creds.euid,
    gid: creds.gid,
    egid: creds.egid,
    secure: creds.euid !== caller.creds.uid || creds.egid !== caller.creds.gid,
    stackLimit: r.limits.soft(RLIMIT_STACK),
    random: kernel.random,
    hardware: kernel.hardware,
    vdso: kernel.vdso,
  });
  if (typeof program === 'number') {
    context.release();
    mm.release();
    return program;
  }
  context.regs.set(REG_RIP, program.entry);
  context.regs.set(REG_RSP, program.stackPointer);
  const executable = (program.executable as ExecutableFile).file;
  return { mm, context, program, executable, creds };
}

/** Of the mode of `file`, the set-ID bits that count, and what they depend on. */
function setIdBits(mode: number, file: ExecutableFile, path: Path, creds: Credentials): number {
  if ((mode & (S_ISUID | S_ISGID)) === 0) return 0;
  if ((path.mount.flags & MS_NOSUID) !== 0 || creds.noNewPrivs) return 0;
  // A script's own never count (execve(2)): its name may mean another file by the time the
  // interpreter opens it.
  return file.isScript() ? 0 : mode;
}

/** Whether a program runs with other effective ids than its caller: it is then nobody's to look into. */
function gains(before: Credentials, after: Credentials): boolean {
  return after.euid !== before.euid || after.egid !== before.egid;
}

/** Whether a task of another process shares its FsContext; those of its own end. */
function isObserved(t: Task): boolean {
  let own = 0;
  for (const each of t.group.tasks) if (each.fs === t.fs) own++;
  return t.fs.sharers > own;
}

/** execve(2) for a task: 0 after which the task runs the new program, or -errno. */
export function execTask(t: Task, r: Omit<ExecRequest, 'limits'>): number {
  // Its processor is the one that the new program will want.
  t.context.rest();
  const prepared = prepareProgram(t.kernel, t, {
    ...r,
    limits: t.group.limits,
    observed: isObserved(t),
  });
  if (typeof prepared === 'number') return prepared;
  killOtherThreads(t);
  leaveRobustFutexes(t);
  wakeClearedTid(t);
  if (t.files.shared) {
    const own = t.files.copy();
    t.files.release();
    t.files = own;
  }
  t.files.closeAllOnExec();
  const g = t.group;
  if (g.handlers.refs > 1) {
    g.handlers.refs--;
    g.handlers = g.handlers.copy();
  }
  g.handlers.resetForExec();
  g.timers?.releaseForExec();
  const grew = gains(t.creds, prepared.creds);
  claimMemory(t);
  g.dumpable = grew ? 0 : 1;
  if (grew) t.parentDeathSignal = 0;
  g.exitSignal = SIGCHLD;
  // What a child may send its parent was settled with another program.
  for (const child of g.children) child.exitSignal = SIGCHLD;
  g.executed = true;
  g.setExecutable(prepared.executable);
  t.alternateStack = { address: 0, size: 0, flags: 2 };
  t.rseq = null;
  t.creds = prepared.creds;
  prepared.mm.limits = memoryLimits(g.limits, t.creds);
  const { executable, program } = prepared;
  t.name = r.nameless === true ? executable.dentry.name.slice(0, COMM_LENGTH) : program.name;
  adoptMemory(t, prepared);
  endVfork(t);
  return 0;
}

/** Gives up the old address space for the new one. */
function adoptMemory(t: Task, p: PreparedProgram): void {
  const oldMm = t.mm;
  t.group.ownUsage.cpuNs += t.context.cpuTimeNs();
  t.group.ownUsage.maxRssBytes = Math.max(t.group.ownUsage.maxRssBytes, oldMm.peakRssBytes);
  t.kernel.endLater(t, t.context, oldMm);
  t.mm = p.mm;
  t.context = p.context;
  t.context.owner = t;
}

/** Ends all other threads; a thread that is not the leader takes over the leader's identity. */
function killOtherThreads(t: Task): void {
  const g = t.group;
  const pids = t.container.pids;
  for (const other of [...g.tasks]) if (other !== t) exitTask(other);
  if (g.leader === t) return;
  pids.remove(g.pid, t.tid);
  const old = g.leader;
  if (old.state !== TASK_DEAD) throw new Error('thread-group leader outlived its group');
  t.tid = g.pid;
  g.leader = t;
  pids.tasks.set(t.tid, t);
}
