/** Runs a host program to its end with bounded time and output, and says what came of it. */
import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Print the output as it comes, as well as collecting it. */
  readonly echo?: boolean;
  /** Host path the standard output is also appended to while the program runs. */
  readonly onStdout?: (chunk: string) => void;
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

/** Runs `argv` in a process group of its own, which is killed when the time is up. */
export function run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv;
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(file!, args, {
      cwd: options.cwd,
      env: options.env ? { ...options.env } : process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const out: string[] = [];
    const err: string[] = [];
    let bytes = 0;
    let timedOut = false;
    const killGroup = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // Already gone.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup();
      // A grandchild that left the group may hold the pipes open.
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, 2000);
    }, options.timeoutMs ?? 60_000);
    const collect = (into: string[], stream: NodeJS.WriteStream) => (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > OUTPUT_MAX) return killGroup();
      const text = chunk.toString('latin1');
      into.push(text);
      if (into === out) options.onStdout?.(text);
      if (options.echo) stream.write(chunk);
    };
    child.stdout.on('data', collect(out, process.stdout));
    child.stderr.on('data', collect(err, process.stderr));
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    const finish = (status: number) => {
      clearTimeout(timer);
      const elapsedMs = performance.now() - started;
      resolve({ status, stdout: out.join(''), stderr: err.join(''), timedOut, elapsedMs });
    };
    child.on('error', (error) => {
      err.push(String(error));
      finish(127);
    });
    child.on('close', (code, signal) => {
      finish(code ?? 128 + (SIGNALS[signal ?? ''] ?? 0));
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
