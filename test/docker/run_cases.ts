/** `docker run --rm` with one option or another: what must come out. */

/** A `docker run --rm` whose result is known. */
export interface RunCase {
  readonly name: string;
  /** Options before the image. */
  readonly options?: readonly string[];
  readonly command: readonly string[];
  readonly input?: string;
  readonly status?: number;
  /** Standard output must match. */
  readonly stdout?: RegExp;
  readonly stderr?: RegExp;
}

/** A script as a command. */
export const sh = (script: string) => ['sh', '-c', script];

export const RUNS: readonly RunCase[] = [
  { name: 'prints', command: ['echo', 'hello'], stdout: /^hello\n$/ },
  { name: 'exit 0', command: ['true'] },
  { name: 'exit 3', command: sh('exit 3'), status: 3 },
  { name: 'exit 126: not a program', command: ['/data/not_a_program'], status: 126 },
  { name: 'exit 126: a directory', command: ['/data'], status: 126 },
  {
    name: 'exit 127: no such file',
    command: ['/no/such'],
    status: 127,
    stderr: /no such file|not found/,
  },
  { name: 'exit 127: not in PATH', command: ['nosuch'], status: 127, stderr: /not found/ },
  { name: 'exit 137: killed', command: sh('sh -c "kill -9 \\$\\$"; exit $?'), status: 137 },
  { name: 'exit 143: terminated', command: sh('sh -c "kill -TERM \\$\\$"; exit $?'), status: 143 },
  {
    name: '-i reads standard input',
    options: ['-i'],
    command: ['wc', '-c'],
    input: 'x'.repeat(100000),
    stdout: /^100000\n$/,
  },
  {
    name: '-i ends with its input',
    options: ['-i'],
    command: ['cat'],
    input: 'a\nb\n',
    stdout: /^a\nb\n$/,
  },
  {
    name: 'stdout and stderr stay apart',
    command: sh('echo out; echo err >&2'),
    stdout: /^out\n$/,
    stderr: /^err\n$/,
  },
  {
    name: '-e',
    options: ['-e', 'A=b c', '-e', 'X=1'],
    command: sh('echo "$A,$X,$PATH"'),
    stdout: /^b c,1,\/usr\/local\/sbin:/,
  },
  { name: '-w', options: ['-w', '/tmp'], command: ['pwd'], stdout: /^\/tmp\n$/ },
  {
    name: '-w makes the directory',
    options: ['-w', '/new/dir'],
    command: ['pwd'],
    stdout: /^\/new\/dir\n$/,
  },
  {
    name: '-u by number',
    options: ['-u', '1234:5678'],
    command: sh('id -u; id -g; touch /x || echo no'),
    stdout: /^1234\n5678\nno\n$/,
  },
  {
    name: '-u by name',
    options: ['-u', 'guest'],
    command: sh('id -un; echo $HOME'),
    stdout: /^guest\n\/tmp\n$/,
  },
  { name: '--group-add', options: ['--group-add', '77'], command: ['id', '-G'], stdout: /77/ },
  {
    name: '--hostname',
    options: ['--hostname', 'box'],
    command: sh('hostname; cat /etc/hostname'),
    stdout: /^box\nbox\n/,
  },
  {
    name: '--read-only',
    options: ['--read-only'],
    command: sh('touch /x'),
    status: 1,
    stderr: /Read-only/,
  },
  {
    name: '--tmpfs',
    options: ['--read-only', '--tmpfs', '/scratch:size=1m,mode=1777'],
    command: sh(
      'echo hi > /scratch/f && cat /scratch/f; dd if=/dev/zero of=/scratch/g bs=64k count=32 2>&1 | grep -o "No space left on device" | head -1',
    ),
    stdout: /^hi\nNo space left on device\n$/,
  },
  {
    name: '--entrypoint',
    options: ['--entrypoint', 'echo'],
    command: ['a', 'b'],
    stdout: /^a b\n$/,
  },
  { name: '--init', options: ['--init'], command: sh('echo $$; exit 4'), status: 4 },
  {
    name: '--ulimit',
    options: ['--ulimit', 'nofile=100:200'],
    command: sh('ulimit -n; ulimit -Hn'),
    stdout: /^100\n200\n$/,
  },
  {
    name: '--cap-drop',
    options: ['--cap-drop=ALL'],
    command: sh('grep CapEff /proc/self/status'),
    stdout: /0{16}/,
  },
  {
    name: 'default capabilities',
    command: sh('grep CapEff /proc/self/status'),
    stdout: /00000000a80425fb/,
  },
  {
    name: '--security-opt no-new-privileges',
    options: ['--security-opt', 'no-new-privileges'],
    command: sh('grep NoNewPrivs /proc/self/status'),
    stdout: /1\n$/,
  },
  {
    name: '--memory',
    options: ['--memory', '200m'],
    command: ['echo', 'limited'],
    stdout: /limited/,
  },
  {
    name: 'pid 1 and a pid namespace',
    command: sh('echo $$; ls -d /proc/[0-9]* | wc -l'),
    stdout: /^1\n[2-4]\n$/,
  },
  {
    name: 'usual devices',
    command: sh('ls /dev | tr "\\n" " "; head -c 4 /dev/urandom | wc -c'),
    stdout: /full.*null.*ptmx.*random.*zero.*\n?4\n$/,
  },
  { name: 'no network but lo', command: sh('cat /proc/net/dev | grep -c :'), stdout: /^1\n$/ },
  {
    name: 'mounts of its own',
    command: sh('mount | grep -c " on / "; mount | grep -c dockerd'),
    status: 1,
    stdout: /^1\n0\n$/,
  },
  {
    name: 'many processes',
    command: sh('i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done; echo $i'),
    stdout: /^100\n$/,
  },
];
