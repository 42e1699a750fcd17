/** What the start-up snapshot of the executable holds: every module but those of `help`, evaluated. */

import { COMMANDS } from './commands/table.ts';

export async function loadAll(): Promise<void> {
  await import('./cli/context.ts');
  await import('./host/linux_host.ts');
  await import('../gofer/main.ts');
  await import('../sentry/main.ts');
  for (const [name, entry] of Object.entries(COMMANDS)) if (name !== 'help') await entry.load();
}
