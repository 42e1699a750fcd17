/** Standard descriptors: megabytes both ways through pipes, closed ends, no descriptors at all. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { run } from '../../harness/command.ts';
import type { Check } from './check.ts';
import { check, same, sleep, type World } from './world.ts';

const MIB = 2 ** 20;

/** `cat` of 50 MB through real pipes, with a reader that dawdles. */
async function megabytes(w: World): Promise<void> {
  const argv = w.argv('run', '--bundle', w.bundle(['/bin/cat']), 'a').map((arg) => `'${arg}'`);
  const size = 50 * MIB;
  const script = `head -c ${size} /dev/zero | ${argv.join(' ')} | { sleep 1; cksum; }; echo \${PIPESTATUS[@]}`;
  const through = await run(['bash', '-c', script], { timeoutMs: 60_000 });
  const want = await run(['bash', '-c', `head -c ${size} /dev/zero | cksum`]);
  same([through.stdout, through.stderr], [`${want.stdout}0 0 0\n`, '']);
}

/** What goes in comes out, through Node's socket pairs. */
async function sockets(w: World): Promise<void> {
  const [file = '', ...args] = w.argv('run', '--bundle', w.bundle(['/bin/cat']), 'a');
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const chunk = Buffer.alloc(MIB, 'socket pair');
  const sent = createHash('sha256');
  const received = createHash('sha256');
  child.stdout.on('data', (data) => received.update(data));
  for (let i = 0; i < 8; i++) {
    sent.update(chunk);
    if (!child.stdin.write(chunk))
      await new Promise((resolve) => child.stdin.once('drain', resolve));
  }
  child.stdin.end();
  const status = await new Promise((resolve) => child.on('close', resolve));
  same([status, received.digest('hex')], [0, sent.digest('hex')]);
}

async function closedStdout(w: World): Promise<void> {
  const command = (...args: string[]) =>
    w
      .argv('run', '--bundle', w.bundle(['/bin/sh', '-c', ...args]), 'a')
      .map((arg) => `'${arg}'`)
      .join(' ');
  const yes = command('sh -c "while :; do echo yyyyyyyyyyyyyyyy; done"; exit $?');
  const killed = await run(['bash', '-c', `${yes} | head -n 1; echo \${PIPESTATUS[@]}`]);
  same(killed.stdout, 'yyyyyyyyyyyyyyyy\n141 0\n');
  const ignoring = command('trap "" PIPE; while echo y; do :; done 2>/dev/null; exit 5');
  const told = await run(['bash', '-c', `${ignoring} | head -n 1; echo \${PIPESTATUS[@]}`]);
  same(told.stdout, 'y\n5 0\n');
}

async function endOfInput(w: World): Promise<void> {
  const argv = w.argv('run', '--bundle', w.bundle(['/bin/sh', '-c', 'cat; echo end']), 'a');
  same((await run(argv, { input: '' })).stdout, 'end\n');
  const slow = `(echo one; sleep 0.4; echo two) | ${argv.map((arg) => `'${arg}'`).join(' ')}`;
  same((await run(['sh', '-c', slow])).stdout, 'one\ntwo\nend\n');
}

async function closedDescriptors(w: World): Promise<void> {
  const argv = w.argv('run', '--bundle', w.bundle(['/bin/sh', '-c', 'echo out; exit 6']), 'a');
  const text = argv.map((arg) => `'${arg}'`).join(' ');
  const seen = await run(['sh', '-c', `${text} <&- 2>&-; echo $?`]);
  same(seen.stdout, 'out\n6\n');
  same((await run(['sh', '-c', `${text} <&- >&- 2>&-`])).status, 6);
}

/** A foreground command hands signals on, and its end is the sandbox's. */
async function foreground(w: World): Promise<void> {
  const script = 'trap "echo term; exit 9" TERM; echo ready; while :; do sleep 0.05; done';
  const running = w.start(['run', '--bundle', w.bundle(['/bin/sh', '-c', script]), 'a']);
  while (!(await w.runsc(['state', 'a'])).stdout.includes('running')) await sleep(20);
  await sleep(300);
  running.child.kill('SIGTERM');
  const ended = await running.ended;
  check(
    ended.status === 9 && ended.stdout === 'ready\nterm\n',
    `${ended.status} ${ended.stdout}${ended.stderr}`,
  );
}

export const STDIO: readonly Check[] = [
  { name: '50 MB through a pipe and back', body: megabytes },
  { name: '8 MB through socket pairs', body: sockets },
  { name: 'closed stdout: SIGPIPE or EPIPE', body: closedStdout },
  { name: 'the end of stdin', body: endOfInput },
  { name: 'closed descriptors 0 to 2', body: closedDescriptors },
  { name: 'run in the foreground forwards signals', body: foreground },
];
