/** For tests: a container with processes that never run, and /proc over it. */
import { MS_NOSUID } from '../../../spec/linux/mount.ts';
import { SIGCHLD } from '../../../spec/linux/signal.ts';
import { Container } from '../../kernel/container.ts';
import { FdTable } from '../../kernel/fd_table.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { ResourceLimits } from '../../kernel/resource_limits.ts';
import { SignalHandlers } from '../../kernel/signal.ts';
import { Task } from '../../kernel/task.ts';
import { ProcessGroup, Session, ThreadGroup } from '../../kernel/thread_group.ts';
import { FakeHost } from '../../mm/fake_space.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import type { Context } from '../../platform/platform.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import { FsContext } from '../../vfs/fs_context.ts';
import { MountNamespace } from '../../vfs/mount.ts';
import { fakeClock, ROOT } from '../../vfs/operations/fake_files.ts';
import { openFile } from '../../vfs/operations/open.ts';
import { Vfs } from '../../vfs/vfs.ts';
import { PseudoDirectory, PseudoFileSystem } from '../pseudo/pseudo_file_system.ts';
import { ProcFileSystem } from './proc_file_system.ts';

class EmptyFileSystem extends PseudoFileSystem {
  readonly type = 'empty';
  protected readonly magic = 0;
  readonly root = new PseudoDirectory(this);
}

const MEMORY_BYTES = 16 * 2 ** 20;

export class FakeProcesses {
  readonly host = new FakeHost(MEMORY_BYTES);
  readonly kernel: Kernel;
  readonly container: Container;
  readonly proc: ProcFileSystem;

  constructor() {
    this.kernel = {
      clock: fakeClock(),
      vfs: new Vfs(),
      random: (into: Uint8Array) => into.fill(7),
      ready: () => undefined,
      bootNs: 0,
      load: { averages: [2048, 1024, 0] },
      current: null,
    } as unknown as Kernel;
    const empty = new EmptyFileSystem(this.kernel.clock, 1);
    const mounts = new MountNamespace(empty, 'none', 0);
    this.container = new Container({
      id: 'test',
      kernel: this.kernel,
      mounts,
      hostname: 'host',
      domainname: '(none)',
      totalMemoryBytes: 2 ** 30,
      cpuCount: 2,
    });
    const cpuInfo = { cpuid: () => [0, 0, 0, 0] as const, mhz: () => 1000 };
    this.proc = new ProcFileSystem(this.kernel, this.container, cpuInfo);
    mounts.mount(mounts.rootPath, this.proc, 'proc', MS_NOSUID);
  }

  /** A process with one thread, a child of `parent`. */
  start(name: string, parent: Task | null = null, creds: Credentials = ROOT): Task {
    const { kernel, container } = this;
    const { pids, mounts } = container;
    const pid = pids.allocate();
    const limits = new ResourceLimits();
    const group = new ThreadGroup(
      {
        pid,
        parent: parent?.group ?? null,
        handlers: new SignalHandlers(),
        limits,
        exitSignal: SIGCHLD,
      },
      kernel.clock.monotonicNs(),
    );
    parent?.group.children.add(group);
    const root = mounts.rootPath;
    const context = { release: () => undefined, cpuTimeNs: () => 0, owner: null };
    const t = new Task({
      kernel,
      container,
      group,
      tid: pid,
      mm: this.host.newManager(),
      files: new FdTable(),
      fs: new FsContext(mounts, root, root, 0o022),
      creds,
      context: context as unknown as Context,
      name,
    });
    group.leader = t;
    group.tasks.add(t);
    pids.init ??= group;
    pids.tasks.set(pid, t);
    pids.groups.set(pid, group);
    const session = parent?.group.session ?? new Session(pid, group);
    const pg = parent?.group.processGroup ?? new ProcessGroup(pid, session);
    pids.sessions.set(session.id, session);
    pids.processGroups.set(pg.id, pg);
    group.joinProcessGroup(pg);
    return t;
  }

  /** What `reader` reads from a file, or -errno. */
  read(reader: Task, path: string): string | number {
    this.kernel.current = reader;
    const file = openFile(this.kernel.vfs, reader, undefined, path, { flags: 0, mode: 0 });
    if (typeof file === 'number') return file;
    const bytes = new Uint8Array(65536);
    const n = file.read(reader, IoBuffer.over(bytes));
    file.close();
    return n < 0 ? n : Buffer.from(bytes.subarray(0, n)).toString('latin1');
  }

  /** Writes to a file: the count, or -errno. */
  write(writer: Task, path: string, text: string): number {
    this.kernel.current = writer;
    const file = openFile(this.kernel.vfs, writer, undefined, path, { flags: 1, mode: 0 });
    if (typeof file === 'number') return file;
    const n = file.write(writer, IoBuffer.over(Buffer.from(text, 'latin1')));
    file.close();
    return n;
  }
}
