/** Docker's options that ask for a part of the host: refused with a reason, or of no effect. */
import type { Suite } from './docker.ts';

const REFUSED: readonly [string, RegExp, readonly string[]][] = [
  ['--pid=host', /cannot share the host's pid namespace/, ['--pid=host']],
  ['--ipc=host', /cannot share the host's ipc namespace/, ['--ipc=host']],
  ['--device', /cannot give \/dev\/fuse/, ['--device', '/dev/fuse']],
  ['--privileged', /linux.devices\[0\]: cannot give/, ['--privileged']],
];
const ACCEPTED: readonly [string, readonly string[]][] = [
  ['seccomp=unconfined', ['--security-opt', 'seccomp=unconfined']],
  ['apparmor=unconfined', ['--security-opt', 'apparmor=unconfined']],
  ['--uts=host', ['--uts=host']],
  ['--cgroupns=private', ['--cgroupns=private']],
  ['--device of its own', ['--device', '/dev/null']],
];

function want(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

export async function refusals(suite: Suite, image: string): Promise<void> {
  for (const [name, message, options] of REFUSED) {
    await suite.check(`${name} is refused`, async () => {
      const args = suite.daemon.runArgs('--rm', ...options, image, 'echo', 'ran');
      const { status, stdout, stderr } = await suite.daemon.docker(...args);
      const seen = `${status} ${stdout} ${stderr}`;
      want(status === 125 && stdout === '' && message.test(stderr), seen);
    });
  }
  for (const [name, options] of ACCEPTED) {
    await suite.check(`${name} is accepted`, async () => {
      const args = suite.daemon.runArgs('--rm', ...options, image, 'echo', 'ran');
      const { status, stdout, stderr } = await suite.daemon.docker(...args);
      want(status === 0 && stdout === 'ran\n', `${status} ${stdout} ${stderr}`);
    });
  }
}
