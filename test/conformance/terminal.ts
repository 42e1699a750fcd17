/**
 * Interactive programs with `"terminal": true`: line editing, job control, signals from the
 * keyboard, window size, raw mode. Each case is a script of keystrokes and what must appear.
 */
import { runtimeNamed } from '../harness/runtime.ts';
import { Tally } from '../harness/tally.ts';
import { explain, play, type Step } from '../harness/terminal.ts';
import { overlay } from '../harness/tree.ts';
import { debianRootfs } from './rootfs.ts';

interface TerminalCase {
  readonly name: string;
  readonly args: readonly string[];
  readonly steps: readonly Step[];
  readonly status: number;
}

const PROMPT = 'PROMPT> ';
const SHELL = ['env', 'TERM=dumb', `PS1=${PROMPT}`, 'bash', '--norc', '--noprofile', '-i'];
const ready: Step = ['expect', PROMPT];

/** Types a line at the shell's prompt. */
const line = (text: string): Step => ['send', `${text}\n`];

const CASES: readonly TerminalCase[] = [
  {
    name: 'echo and exit status',
    args: SHELL,
    steps: [
      ready,
      line('echo $((40 + 2)); test -t 1 && echo on a tty'),
      ['expect', '^42\r$'],
      ['expect', '^on a tty'],
      line('exit 5'),
    ],
    status: 5,
  },
  {
    name: 'ctrl-c interrupts the foreground, not the shell',
    args: SHELL,
    steps: [
      ready,
      line('sleep 100'),
      ['pause', 0.5],
      ['send', '\x03'],
      ['expect', '\\^C'],
      ready,
      line('echo st=$?'),
      ['expect', 'st=130'],
      line('exit 0'),
    ],
    status: 0,
  },
  {
    name: 'ctrl-z stops, fg continues, bg and jobs',
    args: SHELL,
    steps: [
      ready,
      line('sleep 100'),
      ['pause', 0.5],
      ['send', '\x1a'],
      ['expect', 'Stopped'],
      ready,
      line('jobs'),
      ['expect', 'Stopped +sleep 100'],
      line('bg'),
      ['expect', 'sleep 100 &'],
      line('jobs'),
      ['expect', 'Running +sleep 100'],
      line('fg'),
      ['expect', 'sleep 100'],
      ['pause', 0.3],
      ['send', '\x03'],
      ready,
      line('cat'),
      ['pause', 0.3],
      ['send', 'typed\n'],
      ['expect', 'typed\r\ntyped\r\n'],
      ['send', '\x1a'],
      ['expect', 'Stopped'],
      line('fg'),
      ['expect', 'cat'],
      ['pause', 0.3],
      ['send', 'again\n'],
      ['expect', 'again\r\nagain\r\n'],
      ['send', '\x04'],
      ready,
      line('exit 3'),
    ],
    status: 3,
  },
  {
    name: 'ctrl-d and ctrl-backslash',
    args: SHELL,
    steps: [
      ready,
      line('wc -c'),
      ['pause', 0.3],
      ['send', 'abc\n'],
      ['pause', 0.2],
      ['send', '\x04'],
      ['expect', '^4\r$'],
      ready,
      line('sleep 100'),
      ['pause', 0.4],
      ['send', '\x1c'],
      ['expect', 'Quit'],
      ready,
      ['send', '\x04'],
    ],
    status: 131,
  },
  {
    name: 'canonical editing: erase, kill line, word erase',
    args: ['sh', '-c', 'read -r a; echo "[$a]"; read -r a; echo "[$a]"; read -r a; echo "[$a]"'],
    steps: [
      ['pause', 0.3],
      ['send', 'abx\x7fc\n'],
      ['expect', '\\[abc\\]'],
      ['send', 'nonsense\x15good\n'],
      ['expect', '\\[good\\]'],
      ['send', 'one two\x17three\n'],
      ['expect', '\\[one three\\]'],
    ],
    status: 0,
  },
  {
    name: 'window size and SIGWINCH',
    args: SHELL,
    steps: [
      ready,
      line('stty size'),
      ['expect', '24 80'],
      line("trap 'echo winch $(stty size)' WINCH"),
      ready,
      ['resize', 40, 100],
      ['pause', 0.3],
      line('stty size'),
      ['expect', '40 100'],
      line('exit 0'),
    ],
    status: 0,
  },
  {
    name: 'raw mode reads keys as they come',
    args: [
      'python3',
      '-c',
      'import tty,sys,os,termios\no=termios.tcgetattr(0)\ntty.setraw(0)\nos.write(1,b"ready")\nd=b""\nwhile not d.endswith(b"q"): d+=os.read(0,1)\ntermios.tcsetattr(0,termios.TCSADRAIN,o)\nprint(repr(d))',
    ],
    steps: [
      ['expect', 'ready'],
      ['send', 'a\x03\x1a\rq'],
      ['expect', "b'a\\\\x03\\\\x1a\\\\rq'"],
    ],
    status: 0,
  },
  {
    name: 'less pages and quits',
    args: ['sh', '-c', 'seq 200 | less; echo after'],
    steps: [
      ['expect', '2\\s+3\\s+4'],
      ['expect', ':'],
      ['send', ' '],
      ['expect', '40'],
      ['send', 'q'],
      ['expect', 'after'],
    ],
    status: 0,
  },
  {
    name: 'python prompt with line editing',
    args: ['python3', '-q'],
    steps: [
      ['expect', '>>> '],
      ['send', '6*7\n'],
      ['expect', '42'],
      ['send', '\x1b[A\n'],
      ['expect', '42'],
      ['send', 'import time; time.sleep(100)\n'],
      ['pause', 0.5],
      ['send', '\x03'],
      ['expect', 'KeyboardInterrupt'],
      ['send', 'exit(4)\n'],
    ],
    status: 4,
  },
  {
    name: 'stty settings, echo off, cbreak',
    args: SHELL,
    steps: [
      ready,
      line('stty -a | grep -c isig'),
      ['expect', '^1\r$'],
      line('read -s -p Password: x; echo; echo got $x'),
      ['expect', 'Password:'],
      ['send', 'secret\n'],
      ['expect', '(?<!secret)\r\ngot secret'],
      line('read -n 1 k; echo; echo key $k'),
      ['pause', 0.2],
      ['send', 'z'],
      ['expect', 'key z'],
      line('stty intr ^X; sleep 50'),
      ['pause', 0.4],
      ['send', '\x18'],
      ready,
      line('stty sane; test -t 0 && echo a tty'),
      ['expect', '^a tty'],
      line('exit'),
    ],
    status: 0,
  },
  {
    name: 'background reads and writes stop with SIGTTIN and SIGTTOU',
    args: SHELL,
    steps: [
      ready,
      line('cat &'),
      ['pause', 0.3],
      line('jobs'),
      ['expect', 'Stopped.*cat'],
      line('stty tostop; (echo x) & sleep 0.3; jobs'),
      ['expect', 'Stopped.*echo'],
      line('kill -9 %1 %2; stty -tostop'),
      ready,
      line('exit 0'),
    ],
    status: 0,
  },
  {
    name: 'a nested session by script',
    args: ['script', '-qec', 'tty; stty size; exit 6', '/dev/null'],
    steps: [
      ['expect', '/dev/pts/\\d+'],
      ['expect', '24 80'],
    ],
    status: 6,
  },
  {
    name: 'hang-up ends the foreground group',
    args: SHELL,
    steps: [
      ready,
      line('trap "echo hup > /tmp/h" HUP; kill -HUP $$; cat /tmp/h'),
      ['expect', '^hup'],
      line('exit 0'),
    ],
    status: 0,
  },
];

export async function runTerminal(runtimes: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('terminal');
  for (const runtime of runtimes) tally.add(await runTerminalOn(runtime, filter));
  return tally;
}

async function runTerminalOn(runtimeName: string, filter: string): Promise<Tally> {
  const tally = new Tally('terminal', runtimeName);
  const rootfs = await debianRootfs();
  const runtime = runtimeNamed(runtimeName);
  for (const one of CASES) {
    if (!one.name.includes(filter)) continue;
    const tree = await overlay(rootfs);
    const { argv, env, release } = runtime.prepare(tree.root, { args: one.args }, true);
    const result = await play(argv, env, one.steps);
    await release(!result.ok);
    await tree.release();
    if (result.ok && result.status === one.status) tally.pass(one.name);
    else tally.fail(one.name, `want status ${one.status}; ${explain(result)}`);
  }
  return tally;
}
