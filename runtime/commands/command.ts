/** The shape of a command: its syntax as data, and the function that runs it. */

import type { Context } from '../cli/context.ts';
import type { Flags, FlagValues, ParsedArgs, Syntax } from '../cli/flags.ts';

export interface Command<F extends Flags = Flags> extends Syntax<F> {
  /** The exit status. */
  run(context: Context, args: ParsedArgs<F>): number | Promise<number>;
}

export type { FlagValues };

/** Checks a command's table while keeping the types of its flags. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command<F> {
  return command;
}

export const BUNDLE_FLAG = {
  kind: 'string',
  alias: 'b',
  help: 'directory that holds config.json (default: the current one)',
} as const;

export const CONSOLE_SOCKET_FLAG = {
  kind: 'string',
  help: 'unix socket that receives the master of a new terminal',
} as const;

export const PID_FILE_FLAG = {
  kind: 'string',
  help: 'file to write the host pid to that ends with the status of the process',
} as const;
