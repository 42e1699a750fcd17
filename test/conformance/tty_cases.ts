/** Pseudo terminals: the line discipline and job control, mode by mode. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Case, cases } from './case.ts';

const SCRIPT = readFileSync(join(import.meta.dirname, 'terminal_modes.py'), 'utf8');

export const ttyCases: readonly Case[] = cases('tty', {
  modes: `cat > /tmp/modes.py <<'PYTHON'\n${SCRIPT}\nPYTHON\npython3 /tmp/modes.py`,
});
