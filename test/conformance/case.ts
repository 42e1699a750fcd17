/** One real-program case: a bash script whose output and exit status must equal the host's. */

export interface Case {
  readonly name: string;
  /** For `bash -c`; runs in / as root with PATH, HOME and LANG set. */
  readonly script: string;
  readonly stdin?: string;
  readonly uid?: number;
  readonly timeoutMs?: number;
}

/** Makes a list of cases out of `name: script` pairs. */
export function cases(
  family: string,
  scripts: Readonly<Record<string, string>>,
  options: Omit<Case, 'name' | 'script'> = {},
): Case[] {
  return Object.entries(scripts).map(([name, script]) => ({
    name: `${family}/${name}`,
    script: script.trim(),
    ...options,
  }));
}
