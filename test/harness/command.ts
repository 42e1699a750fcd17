/** Runs a host program to its end with bounded time and output, and says what came of it. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  /** Exit status; 128 + signal if killed; 127 if it could not be started. */
  readonly status: number;
  /** Bytes as latin1, so that nothing is lost in comparing. */
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly elapsedMs: number;
}

const OUTPUT_MAX = 64 << 20;
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSYS: 31,
};

/**
 * Three real pipes. Node gives its children socket pairs, which /dev/stdout cannot be opened on and
 * which other programs tell apart from pipes.
 */
function openPipes(): { child: [number, number, number]; ours: [Socket, Socket, Socket] } {
  const base = join(tmpdir(), `runsc-pipe-${process.pid}-${++serial}`);
  const paths = [0, 1, 2].map((n) => `${base}.${n}`);
  execFileSync('mkfifo', paths);
  // O_RDWR opens a FIFO without waiting for the other side; it is only held until both are open.
  const held = paths.map((path) => openSync(path, constants.O_RDWR));
  const reads = paths.map((path, n) =>
    openSync(path, n === 0 ? constants.O_RDONLY : constants.O_RDONLY | constants.O_NONBLOCK),
  );
  const writes = paths.map((path, n) =>
    openSync(path, n === 0 ? constants.O_WRONLY | constants.O_NONBLOCK : constants.O_WRONLY),
  );
  for (const fd of held) closeSync(fd);
  for (const path of paths) rmSync(path);
  return {
    child: [reads[0]!, writes[1]!, writes[2]!],
    ours: [
      new Socket({ fd: writes[0]!, readable: false, writable: true }),
      new Socket({ fd: reads[1]!, readable: true, writable: false }),
      new Socket({ fd: reads[2]!, readable: true, writable: false }),
    ],
  };
}

let serial = 0;

/** Process groups still running: they end with this process, also when it is interrupted. */
const groups = new Set<number>();
process.on('exit', () => {
  for (const pid of groups) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Already gone.
    }
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

/** Runs `argv` in a process group of its own, which is killed when the time is up. */
export function run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv;
  return new Promise((resolve) => {
    const pipes = openPipes();
    const started = performance.now();
    const [stdin, stdout, stderr] = pipes.ours;
    const child = spawn(file!, args, {
      cwd: options.cwd,
      env: options.env ? { ...options.env } : process.env,
      stdio: pipes.child,
      detached: true,
    });
    for (const fd of pipes.child) closeSync(fd);
    if (child.pid !== undefined) groups.add(child.pid);
    const out: string[] = [];
    const err: string[] = [];
    let bytes = 0;
    let timedOut = false;
    let status = 127;
    const killGroup = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // Already gone.
      }
    };
    const abandon = () => {
      for (const stream of pipes.ours) stream.destroy();
    };
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup();
      // A grandchild that left the group may hold the pipes open.
      setTimeout(abandon, 2000).unref();
    }, options.timeoutMs ?? 60_000);
    const collect = (into: string[]) => (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > OUTPUT_MAX) return killGroup();
      into.push(chunk.toString('latin1'));
      return undefined;
    };
    stdout.on('data', collect(out));
    stderr.on('data', collect(err));
    stdin.on('error', () => {});
    stdin.end(options.input ?? '');
    let open = 3;
    const finish = () => {
      if (--open > 0) return;
      clearTimeout(timer);
      stdin.destroy();
      const elapsedMs = performance.now() - started;
      resolve({ status, stdout: out.join(''), stderr: err.join(''), timedOut, elapsedMs });
    };
    stdout.on('close', finish);
    stderr.on('close', finish);
    child.on('error', (error) => {
      err.push(String(error));
      finish();
    });
    child.on('exit', (code, signal) => {
      if (child.pid !== undefined) groups.delete(child.pid);
      status = code ?? 128 + (SIGNALS[signal ?? ''] ?? 0);
      finish();
    });
  });
}

/** Like `run`, but a failure is an error of the test harness itself. */
export async function must(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await run(argv, options);
  if (result.status !== 0) {
    const why = result.timedOut ? 'timed out' : `status ${result.status}`;
    throw new Error(`${argv.join(' ')}: ${why}\n${result.stderr || result.stdout}`);
  }
  return result;
}
