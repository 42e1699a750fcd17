/** The state of a container as `runsc state` prints it and hooks read it: runtime.md, "State". */

export type Status = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

export interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: Status;
  /** Absent when stopped. */
  readonly pid?: number;
  /** Absolute path. */
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}
