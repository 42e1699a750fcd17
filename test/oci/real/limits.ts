/**
 * Limits hold from outside: what hogs memory, processes, descriptors or processors in one sandbox is
 * held by that sandbox's cgroup, while a neighbour and the host go on working.
 */
import * as fs from 'node:fs';
import type { Check } from './check.ts';
import { type Change, check, same, sleep, until, type World } from './world.ts';

const CGROUPS = '/sys/fs/cgroup';
const LIMIT = 64 << 20;
const SLACK = 1 << 20;
/** Work of which a neighbour must do as much beside a hog: it forks, reads files and writes. */
const NEIGHBOUR =
  'i=0; while [ $i -lt 20 ]; do cat /data/file > /tmp/x; i=$((i+1)); done; echo $i $(wc -c < /tmp/x)';
const NEIGHBOUR_SAYS = '20 14\n';
/** A neighbour of a hog may be slower, as there are few processors; it must not starve. */
const NEIGHBOUR_MOST_MS = 15_000;

function cgroup(name: string): string {
  return `runsc-limits-${process.pid}-${name}`;
}

function limited(name: string, resources: object, more: Change = () => {}): Change {
  return (config) => {
    config.linux.cgroupsPath = `/${cgroup(name)}`;
    config.linux.resources = resources;
    more(config);
  };
}

/** Where a v1 controller's files of that cgroup lie; '' where the host does not have them. */
function files(controller: string, name: string): string {
  const directory = `${CGROUPS}/${controller}/${cgroup(name)}`;
  return fs.existsSync(directory) ? directory : `${CGROUPS}/${cgroup(name)}`;
}

function figure(controller: string, name: string, ...either: readonly string[]): number {
  for (const file of either) {
    const at = `${files(controller, name)}/${file}`;
    if (fs.existsSync(at)) return Number(fs.readFileSync(at, 'utf8'));
  }
  throw new Error(`no ${either} of ${name}`);
}

/** A neighbour sandbox and the host itself do their work while the hog is at it. */
async function neighboursAreWell(w: World): Promise<void> {
  const started = performance.now();
  const { status, stdout, stderr } = await w.script(NEIGHBOUR);
  same({ status, stdout, stderr }, { status: 0, stdout: NEIGHBOUR_SAYS, stderr: '' });
  const tookMs = performance.now() - started;
  check(tookMs < NEIGHBOUR_MOST_MS, `the neighbour took ${tookMs} ms`);
}

/** `events` reports each kill, and the sandbox what it came to: no more than its limit was used. */
function memoryHog(platform: string, name: string, script: string, more: Change = () => {}): Check {
  return {
    name: `a memory hog of ${name} on ${platform}`,
    body: async (w) => {
      w.flags = [`--platform=${platform}`];
      const id = 'memory';
      const bundle = w.bundle(
        ['/bin/sh', '-c', `while [ ! -e /go ]; do sleep 0.02; done; ${script}; exit 99`],
        limited(id, { memory: { limit: LIMIT, swap: LIMIT } }, more),
      );
      await w.ok('run', '--detach', '--bundle', bundle, id);
      const events = w.start(['events', '--interval=50ms', id]);
      await until('it is watched', () => fs.readFileSync(events.outFile, 'utf8') !== '');
      const waiting = w.runsc(['wait', id]);
      await w.ok('exec', id, '/bin/touch', '/go');
      await neighboursAreWell(w);
      const { status, stdout, stderr } = await waiting;
      same((await events.ended).status, 0);
      const most = figure('memory', id, 'memory.max_usage_in_bytes', 'memory.peak');
      // The kernel goes a few pages over it where it must not fail.
      check(most <= LIMIT + SLACK, `${most} bytes were used, the limit is ${LIMIT}`);
      const told = fs.readFileSync(events.outFile, 'utf8');
      // Killed as a whole (137), or only the process that hogged; or refused, and that's that.
      const ended = /"exitStatus":\s*(\d+)/.exec(stdout)?.[1];
      check(ended === '137' || ended === '99', `status ${ended}: ${status} ${stdout}${stderr}`);
      const killed = most > LIMIT / 2 && /"type":"oom"/.test(told);
      check(killed, `no OOM event: ${most} bytes at most; events: ${told}`);
      await w.ok('delete', '--force', id);
    },
  };
}

const bigTmpfs: Change = (config) => {
  config.mounts.push({
    destination: '/data',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['size=1g'],
  });
};

const PIPES =
  'i=0; while [ $i -lt 3000 ]; do (head -c 65000 /dev/zero; sleep 1000) | sleep 1000 & i=$((i+1)); done; wait';

async function forkBomb(w: World): Promise<void> {
  const limit = 60;
  const change = limited('bomb', { pids: { limit } });
  await w.running(
    'bomb',
    ['/bin/sh', '-c', 'exec 2> /dev/null; f() { f | f & sleep 1000; }; f & exec sleep 1000'],
    change,
  );
  await until('the bomb goes off', () => figure('pids', 'bomb', 'pids.current') > limit / 2);
  await neighboursAreWell(w);
  const current = figure('pids', 'bomb', 'pids.current');
  check(current <= limit, `${current} processes, the limit is ${limit}`);
  await w.ok('kill', '--all', 'bomb', 'KILL');
  await w.ok('delete', '--force', 'bomb');
}

/** A sandbox that may use a tenth of one processor, spinning with all its might. */
async function cpuHog(w: World): Promise<void> {
  const change = limited('cpu', { cpu: { quota: 20_000, period: 100_000, shares: 128 } });
  const spin = 'while :; do :; done & while :; do :; done';
  await w.running('cpu', ['/bin/sh', '-c', spin], change);
  const usedMs = () => {
    const v1 = `${files('cpuacct', 'cpu')}/cpuacct.usage`;
    if (fs.existsSync(v1)) return Number(fs.readFileSync(v1, 'utf8')) / 1e6;
    const stat = fs.readFileSync(`${files('cpu', 'cpu')}/cpu.stat`, 'utf8');
    return Number(/usage_usec (\d+)/.exec(stat)?.[1]) / 1000;
  };
  const [began, before] = [performance.now(), usedMs()];
  await neighboursAreWell(w);
  await sleep(1000);
  const share = (usedMs() - before) / (performance.now() - began);
  check(share > 0 && share < 0.3, `it had ${share} of a processor, the limit is 0.2`);
  await w.ok('pause', 'cpu');
  await sleep(200);
  const [pausedAt, pausedMs] = [performance.now(), usedMs()];
  await sleep(500);
  const paused = (usedMs() - pausedMs) / (performance.now() - pausedAt);
  check(paused < 0.05, `paused, it had ${paused} of a processor`);
  await w.ok('resume', 'cpu');
  await w.ok('update', '--cpu-quota', '80000', 'cpu');
  const quota = () => {
    const v1 = `${files('cpu', 'cpu')}/cpu.cfs_quota_us`;
    const text = fs.readFileSync(fs.existsSync(v1) ? v1 : `${files('cpu', 'cpu')}/cpu.max`, 'utf8');
    return Number.parseInt(text, 10);
  };
  same(quota(), 80_000);
  await w.ok('delete', '--force', 'cpu');
}

/** Descriptors are a process's own: a hog of them takes none from another sandbox. */
async function descriptorHog(w: World): Promise<void> {
  const more: Change = (c) => {
    c.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 20000, hard: 20000 }];
  };
  const loop =
    'while :; do /bin/hog files > /dev/null 2>&1; /bin/hog sockets > /dev/null 2>&1; done';
  await w.running('files', ['/bin/sh', '-c', loop], limited('files', {}, more));
  await sleep(300);
  await neighboursAreWell(w);
  const open = () => Number(fs.readFileSync('/proc/sys/fs/file-nr', 'utf8').split('\t')[0]);
  const [most, now] = [open(), fs.openSync('/dev/null', 'r')];
  fs.closeSync(now);
  check(most < 200_000, `the host has ${most} files open`);
  same(await w.status('files'), 'running');
  await w.ok('delete', '--force', 'files');
}

/** All that belongs to the sandbox is in its groups, also what is started later. */
async function everyProcess(w: World): Promise<void> {
  const change = limited('all', { pids: { limit: 100 }, memory: { limit: 256 << 20 } });
  await w.running('all', ['/bin/sh', '-c', 'sleep 1000 & sleep 1000'], change);
  const pidFile = w.file('exec.pid');
  await w.ok('exec', '--detach', '--pid-file', pidFile, 'all', '/bin/sleep', '1000');
  const members = () =>
    fs
      .readFileSync(`${files('memory', 'all')}/cgroup.procs`, 'utf8')
      .trim()
      .split('\n')
      .map(Number);
  const { sentry, gofer } = w.stateOf('all');
  for (const pid of [sentry.pid, gofer.pid, Number(fs.readFileSync(pidFile, 'utf8'))]) {
    check(members().includes(pid), `${pid} is not in the cgroup: ${members()}`);
  }
  const stubs = w.processes().filter((p) => p.name === 'runsc-stub');
  check(stubs.length > 1 && stubs.every((p) => members().includes(p.pid)), 'a stub outside');
  await w.ok('delete', '--force', 'all');
  same(fs.existsSync(files('memory', 'all')), false);
}

async function update(w: World): Promise<void> {
  await w.running('up', ['/bin/sleep', '1000'], limited('up', { pids: { limit: 100 } }));
  await w.ok('update', '--memory', '128m', '--pids-limit', '70', 'up');
  const pids = () => figure('pids', 'up', 'pids.max');
  same([figure('memory', 'up', 'memory.limit_in_bytes', 'memory.max'), pids()], [128 << 20, 70]);
  const input = '{"pids": {"limit": 60}, "memory": {"limit": 67108864, "swap": 134217728}}';
  const ended = await w.runsc(['update', '--resources', '-', 'up'], { input });
  same([ended.status, ended.stderr, pids()], [0, '', 60]);
  // Both at once, in whichever order the kernel takes them.
  await w.ok('update', '--memory', '256m', '--memory-swap', '256m', 'up');
  same(figure('memory', 'up', 'memory.limit_in_bytes', 'memory.max'), 256 << 20);
  const { data } = JSON.parse(await w.ok('events', '--stats', 'up'));
  same([data.memory.usage.limit, data.pids.limit], [256 << 20, 60]);
  check(data.cpu.usage.total > 0 && data.memory.usage.usage > 0, JSON.stringify(data));
  await w.fails(
    128,
    /--pids-limit: "x" must be a whole number/,
    'update',
    '--pids-limit',
    'x',
    'up',
  );
  await w.fails(128, /container "none" does not exist/, 'update', '--memory', '1g', 'none');
  await w.fails(128, /--interval/, 'events', '--interval', '5', 'up');
  await w.ok('delete', '--force', 'up');
  const free = limited('', {}, (c) => delete c.linux.cgroupsPath);
  await w.running('free', ['/bin/sleep', '1000'], free);
  await w.fails(128, /it has no cgroup/, 'update', '--memory', '1g', 'free');
}

/** Where controllers are of both versions, each limit goes to where its controller is. */
async function mixed(w: World): Promise<void> {
  const hugetlb = `${CGROUPS}/unified/cgroup.controllers`;
  const change = limited('mixed', {
    pids: { limit: 99 },
    hugepageLimits: [{ pageSize: '2MB', limit: 4 << 20 }],
  });
  const bundle = w.bundle(['/bin/sleep', '1000'], change);
  if (fs.existsSync(hugetlb) && /hugetlb/.test(fs.readFileSync(hugetlb, 'utf8'))) {
    await w.ok('run', '--detach', '--bundle', bundle, 'mixed');
    const limit = `${CGROUPS}/unified/${cgroup('mixed')}/hugetlb.2MB.max`;
    same(fs.readFileSync(limit, 'utf8'), `${4 << 20}\n`);
    same(figure('pids', 'mixed', 'pids.max'), 99);
    await w.ok('delete', '--force', 'mixed');
  } else if (
    !fs.existsSync(`${CGROUPS}/hugetlb`) &&
    !fs.existsSync(`${CGROUPS}/cgroup.controllers`)
  ) {
    await w.fails(128, /hugetlb/, 'run', '--bundle', bundle, 'mixed');
  }
  // A limit without a path gets a cgroup named after the container.
  const id = cgroup('unnamed');
  const unnamed: Change = (c) => {
    c.linux.resources = { pids: { limit: 88 } };
  };
  await w.ok('run', '--detach', '--bundle', w.bundle(['/bin/sleep', '9'], unnamed), id);
  same(figure('pids', 'unnamed', 'pids.max'), 88);
  await w.ok('delete', '--force', id);
  const climbing = w.bundle(['/bin/true'], limited('x', { unified: { '../memory.high': '1' } }));
  await w.fails(128, /linux.resources.unified: must name files/, 'run', '--bundle', climbing, 'x');
}

export const LIMITS: readonly Check[] = [
  memoryHog('ptrace', 'anonymous memory', '/bin/hog memory 300'),
  memoryHog('systrap', 'anonymous memory', '/bin/hog memory 300'),
  memoryHog('ptrace', 'a tmpfs', 'dd if=/dev/zero of=/data/x bs=1M count=300', bigTmpfs),
  memoryHog('systrap', 'pipes', PIPES),
  { name: 'a fork bomb beside a neighbour', body: forkBomb },
  { name: 'a CPU hog beside a neighbour, paused, and given more', body: cpuHog },
  { name: 'a hog of descriptors beside a neighbour', body: descriptorHog },
  { name: 'every process of a sandbox is in its cgroup', body: everyProcess },
  { name: 'update and events', body: update },
  { name: 'controllers of both versions, and limits without a path', body: mixed },
];
