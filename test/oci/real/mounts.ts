/** Bind mounts, tmpfs, --overlay2 and --file-access. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Check } from './check.ts';
import { type Change, check, same, sleep, until, type World } from './world.ts';

/** A directory of the host with a file, as a bind mount at /data/v. */
function hostDirectory(w: World): string {
  const directory = w.file('host');
  fs.mkdirSync(directory);
  fs.writeFileSync(path.join(directory, 'file'), 'host\n');
  return directory;
}

const bind =
  (source: string, ...options: string[]): Change =>
  (c) => {
    c.mounts.push({ destination: '/data/v', type: 'bind', source, options: ['rbind', ...options] });
  };

async function bindMounts(w: World): Promise<void> {
  const host = hostDirectory(w);
  const write =
    'cat /data/v/file; echo guest > /data/v/new; echo $?; mv /data/v/new /data/v/moved; cat /data/v/moved';
  same((await w.script(write, bind(host))).stdout, 'host\n0\nguest\n');
  same(fs.readFileSync(path.join(host, 'moved'), 'utf8'), 'guest\n');
  const ro = await w.script(
    'cat /data/v/file; echo x > /data/v/ro; echo $?; rm /data/v/moved; echo $?',
    bind(host, 'ro'),
  );
  same(ro.stdout, 'host\n1\n1\n');
  check(
    !fs.existsSync(path.join(host, 'ro')) && fs.existsSync(path.join(host, 'moved')),
    'ro wrote',
  );
  const file = path.join(host, 'file');
  same((await w.script('cat /data/v; echo more >> /data/v', bind(file))).stdout, 'host\n');
  same(fs.readFileSync(file, 'utf8'), 'host\nmore\n');
  same((await w.script('echo x >> /data/v; echo $?', bind(file, 'ro'))).stdout, '1\n');
  const outside = await w.script(
    'ls /data/v/link/ >/dev/null 2>&1; echo $?; cat /data/v/../../etc/passwd | head -n 1',
    (c) => {
      fs.symlinkSync('/proc/self/root/nothing', path.join(host, 'link'));
      bind(host)(c);
    },
  );
  same(outside.stdout, '1\nroot:x:0:0::/root:/bin/sh\n');
}

async function tmpfs(w: World): Promise<void> {
  const script =
    'stat -c %a /data/t; dd if=/dev/zero of=/data/t/f bs=64k count=32 2>&1 | grep -c "No space"; ls /data/t';
  const seen = await w.script(script, (c) => {
    c.mounts.push({
      destination: '/data/t',
      type: 'tmpfs',
      source: 'x',
      options: ['size=1m', 'mode=700'],
    });
  });
  same(seen.stdout, '700\n1\nf\n');
}

/** Where writes to the root and to a bind mount go, by --overlay2. */
async function overlays(w: World): Promise<void> {
  const host = hostDirectory(w);
  const root = w.file('root');
  fs.cpSync(w.rootfs, root, { recursive: true, verbatimSymlinks: true });
  const script =
    'echo x > /made; echo y > /data/v/made; rm /data/file; cat /made /data/v/made; echo z >> /bin/not-executable';
  const change: Change = (c) => {
    bind(host)(c);
    c.root.path = root;
  };
  for (const [overlay, inRoot, inBind] of [
    ['all:memory', false, false],
    ['root:memory', false, true],
    ['none', true, true],
  ] as const) {
    w.flags = [`--overlay2=${overlay}`];
    same((await w.script(script, change)).stdout, 'x\ny\n');
    const found = [fs.existsSync(path.join(root, 'made')), fs.existsSync(path.join(host, 'made'))];
    same([overlay, ...found], [overlay, inRoot, inBind]);
    same([overlay, fs.existsSync(path.join(root, 'data/file'))], [overlay, !inRoot]);
    fs.rmSync(path.join(host, 'made'), { force: true });
  }
}

/** The host changes what the guest has already looked at, with --file-access=shared. */
async function sharedAccess(w: World, overlay: string): Promise<void> {
  const root = w.file('root');
  fs.cpSync(w.rootfs, root, { recursive: true, verbatimSymlinks: true });
  fs.mkdirSync(path.join(root, 'data/dir'));
  fs.writeFileSync(path.join(root, 'data/gone'), 'there\n');
  fs.writeFileSync(path.join(root, 'data/replaced'), 'first\n');
  w.flags = ['--file-access=shared', `--overlay2=${overlay}`];
  const look =
    'cd /data; cat file replaced new gone dir/new late/x 2>/dev/null; ls . dir; stat -c "%s %a" file';
  const script = `look() { ${look}; }; look > /dev/null; echo mine > /data/own; echo ready; while [ ! -e /data/go ]; do sleep 0.05; done; look; cat own`;
  const bundle = w.bundle(['/bin/sh', '-c', script], (c) => {
    c.root.path = root;
  });
  const running = w.start(['run', '--bundle', bundle, 'a']);
  await until('the guest has looked', () =>
    fs.readFileSync(running.outFile, 'utf8').includes('ready'),
  );
  await sleep(50);
  const at = (name: string) => path.join(root, 'data', name);
  fs.appendFileSync(at('file'), 'and more\n');
  fs.chmodSync(at('file'), 0o640);
  fs.writeFileSync(at('new'), 'new\n');
  fs.rmSync(at('gone'));
  fs.writeFileSync(at('next'), 'second\n');
  fs.renameSync(at('next'), at('replaced'));
  fs.writeFileSync(at('dir/new'), 'new in dir\n');
  fs.mkdirSync(at('late'));
  fs.writeFileSync(at('late/x'), 'late\n');
  fs.writeFileSync(at('go'), '');
  const { stdout } = await running.ended;
  const own = 'own\n';
  same(
    stdout,
    `ready\nfrom the host\nand more\nsecond\nnew\nnew in dir\nlate\n.:\ndir\nfile\ngo\nlate\nnew\n${own}replaced\n\ndir:\nnew\n23 640\nmine\n`,
  );
}

/** With an overlay above, what the guest has changed stays the guest's. */
async function sharedWrites(w: World): Promise<void> {
  const root = w.file('root');
  fs.cpSync(w.rootfs, root, { recursive: true, verbatimSymlinks: true });
  fs.writeFileSync(path.join(root, 'data/other'), 'other\n');
  w.flags = ['--file-access=shared'];
  const script =
    'cd /data; echo guest >> file; rm other; echo ready; while [ ! -e go ]; do sleep 0.05; done; cat file; ls';
  const bundle = w.bundle(['/bin/sh', '-c', script], (c) => {
    c.root.path = root;
  });
  const running = w.start(['run', '--bundle', bundle, 'a']);
  await until('the guest has written', () =>
    fs.readFileSync(running.outFile, 'utf8').includes('ready'),
  );
  fs.appendFileSync(path.join(root, 'data/file'), 'and more\n');
  fs.writeFileSync(path.join(root, 'data/other'), 'again\n');
  fs.writeFileSync(path.join(root, 'data/go'), '');
  same((await running.ended).stdout, 'ready\nfrom the host\nguest\nfile\ngo\n');
}

export const MOUNTS: readonly Check[] = [
  { name: 'bind mounts: rw, ro, of a file', body: bindMounts },
  { name: 'tmpfs mounts', body: tmpfs },
  { name: '--overlay2', body: overlays },
  { name: '--file-access=shared --overlay2=none', body: (w) => sharedAccess(w, 'none') },
  { name: '--file-access=shared below an overlay', body: (w) => sharedAccess(w, 'root:memory') },
  { name: '--file-access=shared: what the guest changed stays', body: sharedWrites },
];
