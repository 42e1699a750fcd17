/** runsc help [command | syscalls | seccomp | security]. */

import { Failure } from '../cli/failure.ts';
import { commandHelp, globalHelp } from '../cli/help.ts';
import { print } from '../cli/output.ts';
import { defineCommand } from './command.ts';
import { COMMANDS } from './table.ts';

export const helpCommand = defineCommand({
  name: 'help',
  summary: 'print help on runsc, a command, or the topics syscalls, seccomp and security',
  positionals: [],
  rest: 'topic',
  flags: {},
  async run(context, { rest: [topic = ''] }) {
    if (topic === 'security') {
      const { securityHelp } = await import('./security_help.ts');
      print(await securityHelp(context));
    } else {
      print(await helpOn(topic));
    }
    return 0;
  },
});

export async function helpOn(topic: string): Promise<string> {
  if (topic === '') {
    const entries = Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary]);
    return globalHelp(Object.fromEntries(entries));
  }
  if (topic === 'syscalls') {
    const { syscallsHelp } = await import('../cli/syscalls_help.ts');
    return syscallsHelp();
  }
  if (topic === 'seccomp') {
    const { seccompHelp } = await import('../cli/seccomp_help.ts');
    return seccompHelp();
  }
  const entry = Object.hasOwn(COMMANDS, topic) ? COMMANDS[topic] : undefined;
  if (entry === undefined) {
    throw new Failure(
      `runsc help: unknown topic "${topic}": known are ${Object.keys(COMMANDS).join(', ')}, syscalls, seccomp, security`,
    );
  }
  return commandHelp(await entry.load());
}
