/**
 * A failure that the user is told about in one line. The CLI is the one place where we throw for
 * something other than a bug: a command is a straight line of steps, any of which may end it, and
 * main.ts turns the Failure into the log line, the message and the exit status.
 */

/** What gVisor's runsc and ours exit with when it is runsc, not the container, that failed. */
export const EXIT_FAILURE = 128;

export class Failure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT_FAILURE) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The message of anything thrown, on one line. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replace(/\s*\n\s*/g, '; ');
}

/** The errno name (ENOENT) of an error that Node's file calls threw, or ''. */
export function codeOf(thrown: unknown): string {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
