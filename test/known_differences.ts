/**
 * Where the sandbox is known to differ from Linux or from runc, and why. One list for all suites: a
 * listed test that passes is a failure ("take it off the list"), and docs/compatibility.md shows it.
 */

/** A whole test whose result differs. */
export interface KnownDifference {
  /** 'suite: name' as the runner prints it. */
  readonly test: string;
  readonly reason: string;
}

/** One line of a guest program that differs. */
export interface KnownLine {
  /** FAMILY/NAME of the guest program. */
  readonly program: string;
  /** The line as the host prints it, and as the sandbox does. */
  readonly native: string;
  readonly sandbox: string;
  readonly reason: string;
}

const MEMORY_OVERLAY =
  'writes to the root file system stay in memory and end with the sandbox (--overlay2=root:memory)';

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  { test: 'docker: restart keeps the files', reason: MEMORY_OVERLAY },
  {
    test: 'docker: cp both ways and diff',
    reason: `docker reads and writes the host's files: ${MEMORY_OVERLAY}`,
  },
  {
    test: 'docker: no network but lo',
    reason: '--network=none has no devices at all, not even lo: internet sockets do not exist yet',
  },
  {
    test: 'docker: top',
    reason: 'docker top looks for host processes, and a container is one: the sandbox',
  },
];

export const KNOWN_LINES: readonly KnownLine[] = [];
