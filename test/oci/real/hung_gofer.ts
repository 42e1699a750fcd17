/** A Gofer that does not answer, as one does whose host file system hangs. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Check } from './check.ts';
import { check, same, sleep, until, type World } from './world.ts';

const PATIENCE_MS = 10_000;
/** Opening for writing is what the Gofer is asked each time. */
const LOOK = 'while [ ! -e /data/v/go ]; do : > /data/v/asked; done; echo went';

function bind(source: string) {
  return (c: { mounts: object[] }) => {
    c.mounts.push({ destination: '/data/v', type: 'bind', source, options: ['rbind'] });
  };
}

/** A container that asks its Gofer all the time, which is stopped. */
async function hung(w: World, id: string, directory: string) {
  const bundle = w.bundle(['/bin/sh', '-c', LOOK], bind(directory));
  const running = w.start(['run', '--bundle', bundle, id]);
  await until(`${id} runs`, async () => {
    const { status, stdout } = await w.runsc(['state', id]);
    return status === 0 && JSON.parse(stdout).status === 'running';
  });
  const { gofer } = w.stateOf(id);
  process.kill(gofer.pid, 'SIGSTOP');
  await sleep(50);
  return { ...running, gofer };
}

async function goesOn(w: World, directory: string): Promise<void> {
  const { gofer, ended, errFile } = await hung(w, 'a', directory);
  const said = () => fs.readFileSync(errFile, 'utf8');
  await until('it is said', () => said() !== '', 2 * PATIENCE_MS);
  check(/has not answered T\w+ for 10 s: does its file system hang\?\n$/.test(said()), said());
  fs.writeFileSync(path.join(directory, 'go'), '');
  process.kill(gofer.pid, 'SIGCONT');
  const { status, stdout, stderr } = await ended;
  same({ status, stdout }, { status: 0, stdout: 'went\n' });
  check(stderr.endsWith('answers again\n'), stderr);
}

async function ends(w: World, id: string, directory: string, ...command: string[]): Promise<void> {
  const { ended } = await hung(w, id, directory);
  await w.ok(...command);
  check((await ended).status >= 128, 'it has not ended');
}

async function hungGofers(w: World): Promise<void> {
  const volumes = ['va', 'vb', 'vc'].map((name) => w.file(name));
  for (const volume of volumes) fs.mkdirSync(volume);
  const [a = '', b = '', c = ''] = volumes;
  await Promise.all([
    goesOn(w, a),
    ends(w, 'b', b, 'kill', 'b', 'KILL'),
    ends(w, 'c', c, 'delete', '--force', 'c'),
  ]);
}

export const HUNG_GOFER: readonly Check[] = [
  {
    name: 'a gofer that does not answer: it is said, and the sandbox can be ended',
    body: hungGofers,
  },
];
