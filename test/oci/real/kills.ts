/**
 * SIGKILL of one of our processes at a random moment of a command. Whatever is hit, the next commands
 * answer in one line, and `delete --force` leaves nothing: neither processes nor mounts, cgroups, sockets
 * or files. RUNSC_TEST_EFFORT multiplies the number of kills.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Check } from './check.ts';
import { EFFORT, Random, SEED } from './random.ts';
import {
  check,
  type HostProcess,
  list,
  STUB,
  same,
  sleep,
  trySignal,
  until,
  type World,
} from './world.ts';

const KILLS_EACH = 10 * EFFORT;
/** Our commands are over by then: later moments hit nothing. */
const LONGEST_MS = 120;
const CGROUPS = '/sys/fs/cgroup';

type Victim = 'cli' | 'runsc-gofer' | 'runsc-sandbox' | 'runsc-exec' | 'stub';
const VICTIMS: readonly Victim[] = ['cli', 'runsc-sandbox', 'runsc-gofer', 'stub', 'runsc-exec'];

/** What a command is and what must be there before. */
interface Moment {
  readonly name: string;
  readonly before: 'nothing' | 'created' | 'running';
  readonly args: (bundle: string) => readonly string[];
}

const MOMENTS: readonly Moment[] = [
  { name: 'create', before: 'nothing', args: (b) => ['create', '--bundle', b, 'a'] },
  { name: 'start', before: 'created', args: () => ['start', 'a'] },
  { name: 'run', before: 'nothing', args: (b) => ['run', '--bundle', b, 'a'] },
  { name: 'exec', before: 'running', args: () => ['exec', 'a', '/bin/sleep', '0.05'] },
  { name: 'delete', before: 'running', args: () => ['delete', '--force', 'a'] },
];

function isVictim(p: HostProcess, victim: Victim, cli: number): boolean {
  if (victim === 'cli') return p.pid === cli;
  if (p.pid === cli) return false;
  return p.name === (victim === 'stub' ? STUB : victim);
}

/** Container's cgroup: what is left of it is a leak. */
function cgroupsNamed(name: string): string[] {
  const found: string[] = [];
  for (const controller of fs.existsSync(CGROUPS) ? fs.readdirSync(CGROUPS) : []) {
    const directory = path.join(CGROUPS, controller, name);
    if (fs.existsSync(directory)) found.push(directory);
  }
  return found;
}

async function oneKill(w: World, moment: Moment, random: Random, cgroup: string): Promise<string> {
  const bundle = w.bundle(['/bin/sh', '-c', 'sleep 0.03 & sleep 0.06; sleep 0.02'], (c) => {
    c.linux.cgroupsPath = `/${cgroup}`;
  });
  const longer = w.bundle(['/bin/sleep', '1000'], (c) => {
    c.linux.cgroupsPath = `/${cgroup}`;
  });
  if (moment.before !== 'nothing') await w.ok('create', '--bundle', longer, 'a');
  if (moment.before === 'running') await w.ok('start', 'a');
  const delay = random.below(LONGEST_MS);
  const started = w.start(moment.args(moment.name === 'run' ? bundle : longer), {
    timeoutMs: 20_000,
  });
  const cli = started.child.pid ?? 0;
  const begun = performance.now();
  await sleep(delay);
  // Any kind that is there just now, however many processes of it.
  const there = w.processes();
  const kinds = VICTIMS.map((victim) => there.filter((p) => isVictim(p, victim, cli)));
  const present = VICTIMS.filter((_, i) => kinds[i]?.length);
  const victim = present.length > 0 ? random.pick(present) : 'cli';
  const hit = kinds[VICTIMS.indexOf(victim)] ?? [];
  const target = hit.length > 0 ? random.pick(hit) : undefined;
  const what = `${moment.name}: ${victim} after ${delay} ms`;
  if (target !== undefined) trySignal(target.pid, 'SIGKILL');
  const ended = await started.ended;
  check(
    ended.status !== 137 || victim === 'cli' || moment.name !== 'create',
    `${what}: the command hung`,
  );
  check(
    ended.stderr === '' || oneLine(ended.stderr) || moment.name === 'run',
    `${what}: ${ended.stderr}`,
  );
  check(!/internal error/.test(ended.stderr), `${what}: ${ended.stderr}`);
  await afterwards(w, what, cgroup);
  const tookMs = Math.round(performance.now() - begun);
  return target === undefined ? '' : `${what} (${tookMs} ms)`;
}

const oneLine = (text: string) => /^runsc: [^\n]*\n$/.test(text);

/** Every command must answer, and delete --force must leave nothing. */
async function afterwards(w: World, what: string, cgroup: string): Promise<void> {
  const commands = [['list'], ['state', 'a'], ['exec', 'a', '/bin/true'], ['wait', 'a']];
  // A container whose create was killed stays as it is: waiting for its end would take for ever.
  const limitOf = (command: string | undefined) => (command === 'wait' ? 2000 : 15_000);
  const answers = commands.map((args) => w.runsc(args, { timeoutMs: limitOf(args[0]) }));
  answers.push(sleep(100).then(() => w.runsc(['kill', 'a', 'KILL'])));
  for (const ended of await Promise.all(answers)) {
    const good = ended.status === 0 || oneLine(ended.stderr) || ended.status === 137;
    check(
      good && !/internal error/.test(ended.stderr),
      `${what}: then: ${ended.status} ${ended.stderr}`,
    );
  }
  const deleted = await w.runsc(['delete', '--force', 'a']);
  same([what, deleted.status, deleted.stderr], [what, 0, '']);
  await until(
    `${what}: all processes gone: ${w.processes().map((p) => `${p.name} ${p.pid}`)}`,
    () => w.processes().length === 0,
    5000,
  );
  same([what, list(w.state)], [what, []]);
  same([what, cgroupsNamed(cgroup)], [what, []]);
  same([what, fs.readdirSync(w.temporary)], [what, []]);
}

function kills(moment: Moment, index: number): Check {
  return {
    name: `SIGKILL at random moments of ${moment.name}`,
    body: async (w) => {
      const random = new Random(SEED + index);
      const hits: string[] = [];
      for (let i = 0; i < KILLS_EACH; i++)
        hits.push(await oneKill(w, moment, random, `runsc-kill-${process.pid}`));
      if (process.env['VERBOSE'])
        console.log(
          `     ${hits.filter((h) => h !== '').length} of ${hits.length} hit: ${hits.join('; ')}`,
        );
    },
  };
}

export const KILLS: readonly Check[] = MOMENTS.map(kills);
