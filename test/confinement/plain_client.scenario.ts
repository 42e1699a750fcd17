/**
 * Run by minimality.ts with one thread: a Gofer behind a list that may lack an entry (fewer_rules.ts), and
 *
 *   plain_client.scenario.ts asks DIRECTORY     a client that takes no descriptors: 9P2000.L and no more
 *   plain_client.scenario.ts crashes DIRECTORY  what V8 says when it runs out of memory in there
 */

import { registerHooks } from 'node:module';
import * as fs from '../../native/fs.ts';
import * as proc from '../../native/process.ts';
import { socketpair } from '../../native/socket.ts';
import { Channel } from '../../sentry/fsimpl/gofer/channel.ts';
import { PR_SET_PDEATHSIG } from '../../spec/linux/prctl.ts';
import { SIGKILL } from '../../spec/linux/signal.ts';
import { SOCK_CLOEXEC, SOCK_STREAM } from '../../spec/linux/socket.ts';
import * as p9 from '../../spec/p9/constants.ts';
import type { Fields, RequestName } from '../../spec/p9/messages.ts';

/** Attributes that a connection may hold at a time, and their longest value: malloc has no such room yet. */
const VALUES = 64;
const VALUE_BYTES = 65536;
const ROOT = 0;
const FILE = 1;
const FOLDER = 2;
const FIRST_VALUE = 3;

const [mode = '', directory = ''] = process.argv.slice(2);
const fewer = new URL('fewer_rules.ts', import.meta.url).href;
const locked = new URL('locked.ts', import.meta.url).href;
registerHooks({
  resolve(specifier, context, next) {
    const from = context.parentURL ?? '';
    const insteadOf = (what: string, by: RegExp) => specifier.endsWith(what) && by.test(from);
    const url = insteadOf('/confinement.ts', /gofer\/main\.ts$/)
      ? mode === 'crashes' && locked
      : insteadOf('/seccomp/gofer.ts', /gofer\/confinement\.ts$/) && fewer;
    if (!url) return next(specifier, context);
    return { url, format: 'module-typescript', shortCircuit: true };
  },
});
const { goferMain } = await import('../../gofer/main.ts');
const { behind } = (await import(locked)) as typeof import('./locked.ts');

behind.lock = () => {
  const kept: number[][] = [];
  for (;;) kept.push(new Array(1 << 16).fill(kept.length));
};

const pair = socketpair(SOCK_STREAM | SOCK_CLOEXEC);
if (typeof pair === 'number') throw new Error(`socketpair: errno ${-pair}`);
const [ours, theirs] = pair;
const gofer = proc.fork(0);
if (gofer === 0) {
  proc.prctl(PR_SET_PDEATHSIG, SIGKILL);
  const mounts = [{ source: directory, readonly: false, fd: theirs }];
  const ends = { hostUds: 'none', hostFifo: 'none' } as const;
  goferMain({ mounts, ...ends, rootless: false, debugLogFd: -1, stderrFd: -1 });
}
fs.close(theirs);
if (mode === 'asks') ask();
fs.close(ours);
const ended = proc.wait4(gofer, 0);
proc.exit(typeof ended !== 'number' && ended.status === 0 ? 0 : 1);

function ask(): void {
  const channel = new Channel(ours);
  const must = <N extends RequestName>(name: N, fields: Fields<N>, tag?: number) => {
    const reply = channel.call(name, fields, tag);
    if (typeof reply === 'number') throw new Error(`${name}: errno ${-reply}`);
    return reply;
  };
  must('Tversion', { msize: p9.MAX_MSIZE, version: p9.VERSION_9P2000_L }, p9.NOTAG);
  must('Tattach', { fid: ROOT, afid: p9.NOFID, uname: '', aname: '', nUname: 0 });
  must('Twalk', { fid: ROOT, newfid: FILE, names: [] });
  must('Tlcreate', { fid: FILE, name: 'plain', flags: p9.P9_RDWR, mode: 0o600, gid: 0 });
  must('Twrite', { fid: FILE, offset: 0, data: Buffer.from('written') });
  must('Tread', { fid: FILE, offset: 0, count: 7 });
  must('Tfsync', { fid: FILE, datasync: 0 });
  must('Twalk', { fid: ROOT, newfid: FOLDER, names: [] });
  must('Tlopen', { fid: FOLDER, flags: 0 });
  must('Treaddir', { fid: FOLDER, offset: 0, count: 4096 });
  for (let i = 0; i < VALUES; i++) {
    must('Twalk', { fid: ROOT, newfid: FIRST_VALUE + i, names: ['plain'] });
    const value = { name: 'user.a', size: VALUE_BYTES, flags: 0 };
    must('Txattrcreate', { fid: FIRST_VALUE + i, ...value });
  }
  console.log('done');
}
