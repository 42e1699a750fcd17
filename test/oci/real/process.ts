/** What config.json's process says reaches the process: environment, user, limits, capabilities. */
import type { Check } from './check.ts';
import { check, same, type World } from './world.ts';

const CAP_CHOWN = 0;
const CAP_KILL = 5;

async function environment(w: World): Promise<void> {
  const seen = await w.script(
    'pwd; echo "$A|$B"; env | wc -l; hostname; umask; id -u; id -g; id -G',
    (c) => {
      c.process.env = ['A=a b', 'B=ünï', 'PATH=/bin'];
      c.process.cwd = '/data';
      c.process.user = { uid: 7, gid: 8, additionalGids: [9, 10], umask: 0o027 };
      c.hostname = 'guest-host';
    },
  );
  const text = Buffer.from(seen.stdout, 'latin1').toString('utf8');
  // HOME, PWD, SHLVL and OLDPWD-like additions are the shell's and /etc/passwd's.
  const [cwd, vars, , ...rest] = text.trimEnd().split('\n');
  same([cwd, vars, ...rest], ['/data', 'a b|ünï', 'guest-host', '0027', '7', '8', '8 9 10']);
}

async function limits(w: World): Promise<void> {
  const seen = await w.script('ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hf; ulimit -u', (c) => {
    c.process.rlimits = [
      { type: 'RLIMIT_NOFILE', soft: 77, hard: 99 },
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      { type: 'RLIMIT_FSIZE', soft: 512, hard: 2 ** 64 },
      { type: 'RLIMIT_NPROC', soft: 55, hard: 66 },
    ];
  });
  same(seen.stdout, '77\n99\n0\nunlimited\n55\n');
}

async function capabilities(w: World): Promise<void> {
  const wanted = (2 ** CAP_CHOWN + 2 ** CAP_KILL).toString(16).padStart(16, '0');
  const none = '0'.padStart(16, '0');
  const seen = await w.script('grep -E "Cap|NoNew" /proc/self/status', (c) => {
    const caps = ['CAP_CHOWN', 'CAP_KILL'];
    c.process.capabilities = { bounding: caps, effective: caps, permitted: caps };
    c.process.noNewPrivileges = true;
  });
  const rows = [
    'CapInh',
    none,
    'CapPrm',
    wanted,
    'CapEff',
    wanted,
    'CapBnd',
    wanted,
    'CapAmb',
    none,
  ];
  const found = [...seen.stdout.matchAll(/(Cap\w+):\s+(\w+)/g)].flatMap((m) => [m[1], m[2]]);
  same(found, rows);
  check(/NoNewPrivs:\s+1/.test(seen.stdout), seen.stdout);
  const refused = await w.script(
    'mount -t tmpfs t /tmp 2>&1; chmod 0 /data; cat /data/file',
    (c) => {
      c.process.capabilities = {};
      c.process.user = { uid: 5, gid: 5 };
    },
  );
  check(
    /permission denied|not permitted|must be|are you root/i.test(refused.stdout),
    refused.stdout,
  );
  check(/from the host/.test(refused.stdout), refused.stdout);
}

async function paths(w: World): Promise<void> {
  const seen = await w.script(
    'cat /data/file; echo status $?; ls -a /etc; echo x > /tmp/ro/x; echo status $?; echo x > /tmp/x && echo writable',
    (c) => {
      c.linux.maskedPaths = ['/data/file', '/etc', '/not/there'];
      c.linux.readonlyPaths = ['/bin', '/nowhere', '/tmp/ro'];
      c.mounts.push({ destination: '/tmp/ro', type: 'tmpfs', source: 'tmpfs' });
    },
  );
  same(seen.stdout, 'status 0\n.\n..\nstatus 1\nwritable\n');
  const readonly = await w.script(
    'echo x > /data/y; echo $?; touch /bin/x; echo $?; echo x > /tmp/x; echo $?',
    (c) => {
      c.root.readonly = true;
    },
  );
  same(readonly.stdout, '1\n1\n0\n');
}

async function missingProgram(w: World): Promise<void> {
  for (const [program, status, message] of [
    ['nothing', 127, /exec: "nothing": executable file not found in \$PATH/],
    ['/bin/nothing', 127, /exec: "\/bin\/nothing": stat \/bin\/nothing: no such file or directory/],
    ['/bin/not-executable', 126, /permission denied/],
    ['/bin', 126, /permission denied/],
    ['/bin/bad-elf', 126, /exec format error/],
    ['/etc/passwd/x', 127, /no such file/],
  ] as const) {
    await w.fails(status, message, 'run', '--bundle', w.bundle([program]), 'a');
    await w.fails(status, message, 'create', '--bundle', w.bundle([program]), 'a');
  }
  const nowhere = w.bundle(['/bin/true'], (c) => {
    c.process.cwd = '/nowhere';
  });
  await w.fails(128, /process.cwd: \/nowhere/, 'run', '--bundle', nowhere, 'a');
}

export const PROCESS: readonly Check[] = [
  { name: 'environment, cwd, user, umask, hostname', body: environment },
  { name: 'rlimits', body: limits },
  { name: 'capabilities and noNewPrivileges', body: capabilities },
  { name: 'masked, read-only paths, read-only root', body: paths },
  { name: 'programs that cannot run: 126, 127', body: missingProgram },
];
