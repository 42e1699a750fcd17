/** A command believes nothing that others could have written: state directories and bundles. */
import * as fs from 'node:fs';
import type { Check } from './check.ts';
import { check, same, type World } from './world.ts';

const OTHER = 4321;

async function stateDirectories(w: World): Promise<void> {
  const bundle = w.bundle(['/bin/true']);
  const commands = [['list'], ['state', 'a'], ['delete', '--force', 'a'], ['kill', 'a']];
  const refused = async (root: string, message: RegExp) => {
    for (const args of [...commands, ['run', '--bundle', bundle, 'a']]) {
      await w.fails(128, message, '--root', root, ...args);
    }
  };
  const open = w.file('open');
  fs.mkdirSync(open);
  fs.chmodSync(open, 0o777);
  await refused(open, /--root: .*open cannot be trusted: .* can be written by everybody/);
  // What lies in it is no better, and neither is a sticky one of its own.
  await refused(`${open}/below`, /open can be written by everybody/);
  fs.chmodSync(open, 0o1777);
  await refused(open, /can be written by everybody/);
  const foreign = w.file('foreign');
  fs.mkdirSync(foreign);
  fs.chownSync(foreign, OTHER, OTHER);
  await refused(foreign, new RegExp(`foreign cannot be trusted: .* belongs to user ${OTHER}`));
  await refused(`${foreign}/below/it`, new RegExp(`belongs to user ${OTHER}`));
  fs.symlinkSync(foreign, w.file('link'));
  await refused(w.file('link'), new RegExp(`belongs to user ${OTHER}`));
  fs.writeFileSync(w.file('file'), '');
  await w.fails(128, /is not a directory/, '--root', w.file('file'), 'list');
  same(fs.readdirSync(open), []);
  same(fs.readdirSync(foreign), []);
}

async function bundles(w: World): Promise<void> {
  const outside = w.bundle(['/bin/echo', 'read']);
  const bundle = w.bundle(['/bin/true']);
  fs.rmSync(`${bundle}/config.json`);
  fs.symlinkSync(`${outside}/config.json`, `${bundle}/config.json`);
  const run = ['run', '--bundle', bundle, 'a'];
  await w.fails(128, /config.json is a symbolic link out of the bundle/, ...run);
  fs.rmSync(`${bundle}/config.json`);
  await w.ok('spec', '--bundle', bundle);
  fs.renameSync(`${bundle}/config.json`, `${bundle}/real.json`);
  fs.symlinkSync('real.json', `${bundle}/config.json`);
  await w.fails(128, /root.path/, ...run);
  fs.rmSync(`${bundle}/config.json`);
  fs.mkdirSync(`${bundle}/config.json`);
  await w.fails(128, /config.json is not a file/, ...run);
  const links = w.bundle(['/bin/true'], (c) => {
    c.root.path = 'rootfs';
  });
  fs.symlinkSync('/', `${links}/rootfs`);
  const strays = /root.path: .*rootfs is a symbolic link out of the bundle: name \/ itself/;
  await w.fails(128, strays, 'run', '--bundle', links, 'a');
  fs.rmSync(`${links}/rootfs`);
  fs.symlinkSync(w.rootfs, `${links}/inner`);
  fs.mkdirSync(`${links}/rootfs`);
  const binds = w.bundle(['/bin/true'], (c) => {
    c.mounts.push({ destination: '/data', type: 'bind', source: 'volume', options: ['bind'] });
  });
  fs.symlinkSync('/etc', `${binds}/volume`);
  await w.fails(128, /mounts\[\d\].source: .*symbolic link/, 'run', '--bundle', binds, 'a');
}

/** What is asked of the host is refused before anything is made. */
async function hostParts(w: World): Promise<void> {
  const bundle = w.bundle(['/bin/true'], (c) => {
    c.linux.namespaces = c.linux.namespaces.filter(({ type }: { type: string }) => type !== 'pid');
  });
  await w.fails(128, /linux.namespaces: .*host's pid namespace/, 'run', '--bundle', bundle, 'a');
  const devices = w.bundle(['/bin/true'], (c) => {
    c.linux.devices = [{ type: 'b', path: '/dev/vda', major: 254, minor: 0 }];
  });
  await w.fails(128, /linux.devices\[0\]: cannot give \/dev\/vda/, 'create', '-b', devices, 'a');
  same(fs.existsSync(`${w.state}/a`), false);
}

/** The CLI itself has no capability that making a sandbox does not take. */
async function capabilities(w: World): Promise<void> {
  await w.running('c', ['/bin/sleep', '1000']);
  const waiting = w.start(['wait', 'c']);
  const pid = waiting.child.pid ?? 0;
  let status = '';
  for (let i = 0; i < 200 && !/State:\tS/.test(status); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
  }
  const effective = Number.parseInt(/CapEff:\t\w*(\w{8})/.exec(status)?.[1] ?? '', 16);
  // CAP_NET_ADMIN, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_TIME.
  for (const cap of [12, 16, 17, 22, 25]) {
    check((effective & (1 << cap)) === 0, `capability ${cap} is there: ${status}`);
  }
  await w.ok('kill', 'c', 'KILL');
  await waiting.ended;
}

/** The report is of processes that run: what it says of them is what /proc says. */
async function securityReport(w: World): Promise<void> {
  const report = await w.ok('help', 'security');
  const row = (layer: string) =>
    new RegExp(`^${layer} +(.*)$`, 'm').exec(report)?.[1]?.split(/ {2,}/) ?? [];
  same(row('LAYER'), ['Sentry', 'Gofer', 'stub']);
  for (const layer of ['system call filter', 'no new privileges']) {
    same(row(layer), ['yes', 'yes', 'yes']);
  }
  same([row('mnt namespace')[1], row('root directory')[0]], ['own', 'empty']);
  same(row('core, locked memory, queues'), ['0, 0, 0', '0, 0, 0', '0, 0, 0']);
  check(row('capabilities')[1]?.includes('dac_override') === true, report);
  check(/Landlock version \d|without Landlock/.test(report), report);
  check(/^Cgroup controllers that can be used: .*(memory|none)/m.test(report), report);
  w.flags = ['--debug', `--debug-log=${w.file('log')}`];
  await w.script('true');
  const log = fs.readFileSync(w.file('log'), 'utf8');
  for (const line of ['LAYER', 'system call filter', 'user namespace']) {
    check(log.includes(` ${line}  `), `not in the debug log: ${line}`);
  }
}

/** Neither Sentry nor Gofer can dump its memory, lock it, or hold messages of the host's queues. */
async function hostRlimits(w: World): Promise<void> {
  await w.running('limits', ['/bin/sleep', '1000']);
  const { sentry, gofer } = w.stateOf('limits');
  for (const { pid } of [sentry, gofer]) {
    const text = fs.readFileSync(`/proc/${pid}/limits`, 'latin1');
    for (const name of ['core file size', 'locked memory', 'msgqueue size']) {
      check(new RegExp(`^Max ${name} +0 +0 `, 'm').test(text), `${pid}: ${text}`);
    }
  }
  await w.ok('delete', '--force', 'limits');
}

export const CAREFUL: readonly Check[] = [
  { name: 'state directories of others', body: stateDirectories },
  { name: 'links that lead out of a bundle', body: bundles },
  { name: 'parts of the host', body: hostParts },
  { name: 'help security and the debug log', body: securityReport },
  { name: 'capabilities of the command line', body: capabilities },
  { name: 'rlimits of Sentry and Gofer', body: hostRlimits },
];
