/**
 * The scope unit of a container (--systemd-cgroup): asks systemd for it over D-Bus, changes its
 * limits, and ends it, as runc's systemd driver does (org.freedesktop.systemd1(5), systemd.scope(5)). With
 * --rootless it is the caller's own systemd, on the user's bus. systemd gets those limits it has a
 * property for, so that it does not undo them; cgroup.ts writes all of them into the files.
 */

import type { LinuxResources } from '../../spec/oci/config.ts';
import { Failure, messageOf } from '../cli/failure.ts';
import { Bus, BusError } from '../dbus/bus.ts';
import type { Value } from '../dbus/message.ts';
import type { Host } from '../host/host.ts';
import { systemdProperties } from './systemd_properties.ts';

export interface Unit {
  readonly name: string;
  /** The bus of the systemd that has it: a socket's path. */
  readonly socket: string;
  /** It is a user's own systemd. */
  readonly user: boolean;
}

const SYSTEMD = 'org.freedesktop.systemd1';
const MANAGER_PATH = '/org/freedesktop/systemd1';
const MANAGER = 'org.freedesktop.systemd1.Manager';
const SYSTEM_SOCKET = '/run/dbus/system_bus_socket';
const JOB_TIMEOUT_MS = 30_000;
const ADVICE = 'start systemd and dbus, or leave --systemd-cgroup out for the cgroupfs driver';

/** The socket of the bus that `systemd` is asked on. */
export function busSocket(
  user: boolean,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const name = user ? 'DBUS_SESSION_BUS_ADDRESS' : 'DBUS_SYSTEM_BUS_ADDRESS';
  const given = /(?:^|;)unix:(?:[^;]*,)?path=((?:[^,;%]|%[\da-f]{2})+)(?:[,;]|$)/i.exec(
    env[name] ?? '',
  )?.[1];
  if (given !== undefined) return unescapeAddress(given);
  if (!user) return SYSTEM_SOCKET;
  const directory = env['XDG_RUNTIME_DIR'];
  if (directory) return `${directory}/bus`;
  throw new Failure(
    `--systemd-cgroup with --rootless: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR names the user's bus: log in with a session of systemd, or leave --systemd-cgroup out`,
  );
}

/** Addresses have %XX for bytes. */
function unescapeAddress(text: string): string {
  return text.replace(/%(..)/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** systemd on one connection; a refusal is a Failure that says which of our questions it was. */
export class Systemd {
  private readonly bus: Bus;
  private readonly unit: Unit;

  constructor(host: Host, unit: Unit) {
    this.unit = unit;
    const at = unit.socket.lastIndexOf('/');
    const channel = host.connect(unit.socket.slice(0, at) || '/', unit.socket.slice(at + 1));
    if (typeof channel === 'number') {
      throw new Failure(
        `--systemd-cgroup: no bus listens at ${unit.socket} (errno ${-channel}): ${ADVICE}`,
      );
    }
    try {
      this.bus = new Bus(channel, process.geteuid?.() ?? 0);
    } catch (thrown) {
      throw new Failure(`--systemd-cgroup: ${unit.socket}: ${messageOf(thrown)}: ${ADVICE}`);
    }
  }

  close(): void {
    this.bus.close();
  }

  /** Makes the scope around process `pid`: the path of its cgroup. */
  start(slice: string, pid: number, resources: LinuxResources, unified: boolean): string {
    const properties: Value[] = [
      property('Description', 's', `runsc container ${this.unit.name}`),
      property('Slice', 's', slice),
      property('PIDs', 'au', [pid]),
      property('Delegate', 'b', true),
      property('DefaultDependencies', 'b', false),
      ...['CPU', 'Memory', 'Tasks', 'IO'].map((what) => property(`${what}Accounting`, 'b', true)),
      // A sandbox opens no device.
      property('DevicePolicy', 's', 'strict'),
      ...systemdProperties(resources, unified).map((one) =>
        property(one.name, one.signature, one.value),
      ),
    ];
    this.watchJobs();
    const begin = () =>
      this.call('StartTransientUnit', 'ssa(sv)a(sa(sv))', [this.unit.name, 'fail', properties, []]);
    let job: Value | undefined;
    try {
      [job] = begin();
    } catch (thrown) {
      if (!isNamed(thrown, 'UnitExists')) throw this.problem('make', thrown);
      // What an earlier container of that name has left failed; one that runs is not reset.
      this.reset();
      [job] = this.must('make', begin);
    }
    this.await('make', job);
    return this.controlGroup();
  }

  /** Changes the limits that systemd knows, until it is started anew. */
  update(resources: LinuxResources, unified: boolean): void {
    const properties = systemdProperties(resources, unified).map((one) =>
      property(one.name, one.signature, one.value),
    );
    this.must('change', () =>
      this.call('SetUnitProperties', 'sba(sv)', [this.unit.name, true, properties]),
    );
  }

  /** Moves process `pid` into the scope. */
  attach(pid: number): void {
    this.must('join', () =>
      this.call('AttachProcessesToUnit', 'ssau', [this.unit.name, '/', [pid]]),
    );
  }

  /** Ends the scope; nothing happens when it has ended. */
  stop(): void {
    this.watchJobs();
    try {
      const [job] = this.call('StopUnit', 'ss', [this.unit.name, 'replace']);
      this.await('end', job);
    } catch (thrown) {
      if (!isNamed(thrown, 'NoSuchUnit')) throw this.problem('end', thrown);
    }
    this.reset();
  }

  private reset(): void {
    try {
      this.call('ResetFailedUnit', 's', [this.unit.name]);
    } catch {
      // It has not failed, and is gone.
    }
  }

  private controlGroup(): string {
    return this.must('find', () => {
      const [path] = this.call('GetUnit', 's', [this.unit.name]);
      const [found] = this.bus.call({
        destination: SYSTEMD,
        path: String(path),
        interface: 'org.freedesktop.DBus.Properties',
        member: 'Get',
        signature: 'ss',
        body: ['org.freedesktop.systemd1.Scope', 'ControlGroup'],
      });
      const { value } = found as { readonly value?: unknown };
      if (typeof value !== 'string' || !value.startsWith('/') || value.includes('/../')) {
        throw new BusError('it has no cgroup');
      }
      return value;
    });
  }

  private watchJobs(): void {
    this.must('watch', () => {
      this.bus.addMatch(
        `type='signal',sender='${SYSTEMD}',interface='${MANAGER}',member='JobRemoved'`,
      );
      return this.call('Subscribe');
    });
  }

  private await(verb: string, job: Value | undefined): void {
    const signal = this.bus.waitSignal(
      ({ member, interface: from, body }) =>
        member === 'JobRemoved' && from === MANAGER && body[1] === job,
      JOB_TIMEOUT_MS,
    );
    const result = signal === null ? `nothing in ${JOB_TIMEOUT_MS / 1000} s` : signal.body[3];
    if (result === 'done') return;
    this.reset();
    throw this.problem(verb, new BusError(`its job came to: ${result}`));
  }

  private call(member: string, signature = '', body: readonly Value[] = []): readonly Value[] {
    return this.bus.call({
      destination: SYSTEMD,
      path: MANAGER_PATH,
      interface: MANAGER,
      member,
      signature,
      body,
    });
  }

  private must<T>(verb: string, ask: () => T): T {
    try {
      return ask();
    } catch (thrown) {
      throw this.problem(verb, thrown);
    }
  }

  private problem(verb: string, thrown: unknown): Failure {
    if (thrown instanceof Failure) return thrown;
    return new Failure(
      `--systemd-cgroup: systemd cannot ${verb} unit ${this.unit.name}: ${messageOf(thrown)}`,
    );
  }
}

function property(name: string, signature: string, value: Value): Value {
  return [name, { signature, value }];
}

function isNamed(thrown: unknown, error: string): boolean {
  return thrown instanceof BusError && thrown.errorName === `${SYSTEMD}.${error}`;
}
