/**
 * SIGKILL of one of our processes at a random moment of a command. Whatever is hit, the next commands
 * answer in one line, and `delete --force` leaves nothing: neither processes nor mounts, cgroups, sockets
 * or files. 100 kills on each platform, from a seed that a failure names; RUNSC_TEST_EFFORT multiplies them.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Check } from './check.ts';
import { EFFORT, Random, SEED } from './random.ts';
import { becomeUser } from './rootless.ts';
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

/** Of each command, in each lane. */
const KILLS_EACH = 10 * EFFORT;
/** Done beside each other, in worlds of their own. */
const LANES = 2;
/** All that a command may say of a container to which that happened. */
const SAYS =
  /does not exist|not running|half-made|ended|already finished|no such process|it is (stopped|creating|created)|exists already|did not answer|gofer|input\/output error/i;
const CGROUPS = '/sys/fs/cgroup';

type Victim = 'cli' | 'runsc-gofer' | 'runsc-sandbox' | 'runsc-exec' | 'stub';
const VICTIMS: readonly Victim[] = ['cli', 'runsc-sandbox', 'runsc-gofer', 'stub', 'runsc-exec'];

/** What a command is and what must be there before. */
interface Moment {
  readonly name: string;
  readonly before: 'nothing' | 'created' | 'running';
  /** The command is over by then: later kills hit nothing. */
  readonly longestMs: number;
  readonly args: (bundle: string) => readonly string[];
}

const MOMENTS: readonly Moment[] = [
  {
    name: 'create',
    before: 'nothing',
    longestMs: 120,
    args: (b) => ['create', '--bundle', b, 'a'],
  },
  { name: 'start', before: 'created', longestMs: 120, args: () => ['start', 'a'] },
  { name: 'run', before: 'nothing', longestMs: 150, args: (b) => ['run', '--bundle', b, 'a'] },
  {
    name: 'exec',
    before: 'running',
    longestMs: 120,
    args: () => ['exec', 'a', '/bin/sleep', '0.05'],
  },
  { name: 'delete', before: 'running', longestMs: 50, args: () => ['delete', '--force', 'a'] },
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
  const delay = random.below(moment.longestMs);
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
    const said = oneLine(ended.stderr) && SAYS.test(ended.stderr);
    const good = ended.status === 0 || said || ended.status === 137;
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

async function lane(w: World, moment: Moment, seed: number): Promise<string[]> {
  const random = new Random(seed);
  const cgroup = `runsc-kill-${process.pid}-${seed}`;
  const hits: string[] = [];
  try {
    for (let i = 0; i < KILLS_EACH; i++) hits.push(await oneKill(w, moment, random, cgroup));
    same(await w.leftovers(), []);
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
  }
  return hits;
}

function kills(moment: Moment, index: number, whose = '', become = (_: World) => {}): Check {
  return {
    name: `SIGKILL at random moments of ${moment.name}${whose}`,
    body: async (w) => {
      const worlds = Array.from({ length: LANES }, () => w.sibling());
      worlds.forEach(become);
      const seeds = worlds.map((_, i) => SEED + index * LANES + i);
      try {
        const lanes = await Promise.allSettled(
          worlds.map((one, i) => lane(one, moment, seeds[i] ?? 0)),
        );
        const failed = lanes.find((one) => one.status === 'rejected');
        if (failed !== undefined) throw failed.reason;
        if (!process.env['VERBOSE']) return;
        const all = lanes.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
        const hit = all.filter((what) => what !== '');
        console.log(`     seeds ${seeds}: ${hit.length} of ${all.length} hit: ${hit.join('; ')}`);
      } finally {
        for (const one of worlds) one.release();
      }
    },
  };
}

export const KILLS: readonly Check[] = [
  ...MOMENTS.map((moment, index) => kills(moment, index)),
  ...MOMENTS.filter(({ name }) => name === 'run' || name === 'delete').map((moment, index) =>
    kills(moment, MOMENTS.length + index, ' of a plain user', becomeUser),
  ),
];
