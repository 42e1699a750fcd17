/** Plays keystrokes to a command on a pseudo-terminal of the host and checks what it shows. */
import { join } from 'node:path';
import { run } from './command.ts';

export type Step =
  | readonly ['send', string]
  /** A regular expression that must match in what came after the last match. */
  | readonly ['expect', string]
  | readonly ['resize', number, number]
  | readonly ['pause', number];

export interface Play {
  readonly ok: boolean;
  readonly failed: Step | null;
  readonly transcript: string;
  readonly status: number | null;
}

/** Each expectation, and the end of the program, may take `timeoutSeconds`. */
export async function play(
  argv: readonly string[],
  env: Readonly<Record<string, string>> | undefined,
  steps: readonly Step[],
  timeoutSeconds = 10,
): Promise<Play> {
  const script = { argv, env: env ?? null, rows: 24, cols: 80, timeout: timeoutSeconds, steps };
  const result = await run(['python3', join(import.meta.dirname, 'keystrokes.py')], {
    input: JSON.stringify(script),
    timeoutMs: (steps.length + 2) * timeoutSeconds * 1000,
  });
  try {
    return JSON.parse(result.stdout) as Play;
  } catch {
    return { ok: false, failed: null, transcript: result.stderr, status: null };
  }
}

/** Why a play did not end as it should, for a report. */
export function explain(result: Play): string {
  const step = result.failed ? `at ${JSON.stringify(result.failed)}` : `status ${result.status}`;
  return `${step}\n${result.transcript.slice(-1500)}`;
}
