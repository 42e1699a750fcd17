/**
 * What a system call filter is made of: seccomp(2) allow-lists as data. native/seccomp.ts compiles them;
 * whatever no rule allows kills the process.
 */

/** A test of one argument. All tests look at 64 bits unless they say otherwise. */
export type ArgumentTest =
  /** One of these, as the 32 bits the host looks at. */
  | { readonly arg: number; readonly is: readonly number[] }
  /** This and nothing else. */
  | { readonly arg: number; readonly equals: number }
  /** No other bits than these. */
  | { readonly arg: number; readonly bits: number }
  /** Greater than zero, as the 32 bits of an int. */
  | { readonly arg: number; readonly positive: true };

export interface SyscallRule {
  readonly nr: number;
  /** What breaks without it. */
  readonly why: string;
  /** Each an alternative, of tests that must all hold; absent: any arguments. */
  readonly when?: readonly (readonly ArgumentTest[])[];
  /** Not allowed, but answered with this error instead of death. */
  readonly refuse?: number;
}
