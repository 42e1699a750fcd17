/**
 * runsc inside an unprivileged container of runc: Docker's default seccomp profile and capabilities, no
 * user namespaces, no cgroup to write to. What confines it there is seccomp, Landlock and no_new_privs.
 */
import { RUNSC } from '../harness/runtime.ts';
import type { Suite } from './docker.ts';

/** What the sealed binary is linked with. */
const LIBRARIES = ['/lib/x86_64-linux-gnu', '/lib64'];
const USERS = [
  ['root', []],
  ['a plain user', ['--user', '1000']],
] as const;

/** Every process of the sandbox with what confines it. */
const STATUS = `
runsc --root /tmp/state PLATFORM run -d -b /tmp/b one || exit 1
for p in /proc/[0-9]*; do
  case $(cat $p/comm 2>/dev/null) in
    runsc-*) echo $(cat $p/comm) $(grep -E "^(NoNewPrivs|Seccomp|Uid|CapEff):" $p/status);;
  esac
done
runsc --root /tmp/state exec one cat /proc/version /data/volume
runsc --root /tmp/state kill one KILL && runsc --root /tmp/state delete --force one && ls -A /tmp/state
`;
const BUNDLE = `
mkdir -p /tmp/b/rootfs/bin /tmp/b/rootfs/proc /tmp/b/rootfs/data && cp /bin/busybox /tmp/b/rootfs/bin/
for n in sh cat sleep; do ln -s busybox /tmp/b/rootfs/bin/$n; done; echo in the volume > /tmp/volume
cd /tmp/b && runsc spec --bundle /tmp/b -- /bin/sleep 100
sed -i 's|"terminal": true|"terminal": false|; s|"mounts": \\[|"mounts": [{"destination": "/data/volume", "type": "bind", "source": "/tmp/volume", "options": ["ro", "bind"]},|' config.json
`;

function want(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

/** `platform`: the flags that choose it. */
export async function inside(
  suite: Suite,
  image: string,
  platform: readonly string[],
): Promise<void> {
  const volumes = [`${RUNSC}:/bin/runsc`, ...LIBRARIES.map((path) => `${path}:${path}`)];
  const mounts = volumes.flatMap((volume) => ['-v', `${volume}:ro`]);
  const flags = platform.join(' ');
  for (const [who, user] of USERS) {
    const run = async (script: string) => {
      const args = ['--runtime=runc', '--rm', '--network=none', ...user, ...mounts, image];
      return await suite.daemon.docker('run', ...args, 'sh', '-c', script);
    };
    await suite.check(`runsc do in a container of runc, as ${who}`, async () => {
      const asked = 'id -u; echo x > /data/new; cat /data/new; exit 5';
      const log = '--debug --debug-log=/tmp/log';
      const { status, stdout, stderr } = await run(
        `runsc ${log} ${flags} do sh -c '${asked}'; s=$?; ls /data; cat /tmp/log >&2; exit $s`,
      );
      const seen = `${status} ${stdout} ${stderr}`;
      want(status === 5 && stdout === '0\nx\nnot_a_program\n', seen);
      // What is missing is said, and Landlock is not.
      want(/running without own file tree/.test(stderr), seen);
      want(/Landlock version \d/.test(stderr) && !/without Landlock/.test(stderr), seen);
    });
    await suite.check(`runsc help security in a container of runc, as ${who}`, async () => {
      const { status, stdout, stderr } = await run(`runsc ${flags} help security`);
      const seen = `${status} ${stdout} ${stderr}`;
      want(status === 0 && /without own file tree \(errno 1\)/.test(stdout), seen);
      for (const layer of ['system call filter', 'no new privileges']) {
        want(new RegExp(`^${layer} +yes +yes +yes$`, 'm').test(stdout), seen);
      }
      want(/Landlock version \d/.test(stdout) && !/without Landlock/.test(stdout), seen);
      want(/controllers that can be used: none/.test(stdout), seen);
    });
    await suite.check(`runsc run in a container of runc, as ${who}`, async () => {
      const { status, stdout, stderr } = await run(BUNDLE + STATUS.replace('PLATFORM', flags));
      const seen = `${status} ${stdout} ${stderr}`;
      want(status === 0 && stderr === '' && stdout.endsWith('\nin the volume\n'), seen);
      for (const name of ['gofer', 'sandbox', 'stub']) {
        want(new RegExp(`runsc-${name} .*NoNewPrivs: 1 Seccomp: 2`).test(stdout), seen);
      }
    });
  }
}
