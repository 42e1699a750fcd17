/** Unit properties and bus addresses for systemd. */
import { describe, expect, it } from 'vitest';
import { busSocket } from './systemd.ts';
import { cpuMask, systemdProperties } from './systemd_properties.ts';

const INFINITY = 0xffff_ffff_ffff_ffffn;

function properties(resources: object, unified: boolean): Record<string, unknown> {
  const all = systemdProperties(resources, unified);
  return Object.fromEntries(all.map(({ name, signature, value }) => [name, [signature, value]]));
}

describe('unit properties', () => {
  const resources = {
    memory: { limit: 100, swap: 150, reservation: 50 },
    cpu: { shares: 1024, quota: 50_001, period: 100_000, cpus: '0-1', mems: '0' },
    pids: { limit: 10 },
  };

  it('are those of v1', () => {
    expect(properties(resources, false)).toEqual({
      MemoryLimit: ['t', 100],
      CPUShares: ['t', 1024],
      CPUQuotaPerSecUSec: ['t', 510_000],
      CPUQuotaPeriodUSec: ['t', 100_000],
      TasksMax: ['t', 10],
    });
  });

  it('are those of v2', () => {
    expect(properties(resources, true)).toEqual({
      MemoryMax: ['t', 100],
      MemoryLow: ['t', 50],
      MemorySwapMax: ['t', 50],
      CPUWeight: ['t', 39],
      CPUQuotaPerSecUSec: ['t', 510_000],
      CPUQuotaPeriodUSec: ['t', 100_000],
      AllowedCPUs: ['ay', Uint8Array.of(3)],
      AllowedMemoryNodes: ['ay', Uint8Array.of(1)],
      TasksMax: ['t', 10],
    });
  });

  it('say that a limit is lifted', () => {
    const lifted = { memory: { limit: -1 }, cpu: { quota: -1 }, pids: { limit: -1 } };
    expect(properties(lifted, true)).toEqual({
      MemoryMax: ['t', INFINITY],
      MemorySwapMax: ['t', INFINITY],
      CPUQuotaPerSecUSec: ['t', INFINITY],
      CPUQuotaPeriodUSec: ['t', 100_000],
      TasksMax: ['t', INFINITY],
    });
    expect(properties({}, true)).toEqual({});
  });

  it('have processors as bits', () => {
    expect(cpuMask('0-2,9')).toEqual(Uint8Array.of(7, 2));
    expect(cpuMask('x,0-999999999').length).toBe(1024);
  });
});

describe('the bus', () => {
  it.each([
    [false, {}, '/run/dbus/system_bus_socket'],
    [false, { DBUS_SYSTEM_BUS_ADDRESS: 'tcp:host=a;unix:path=/a%20b,guid=1' }, '/a b'],
    [false, { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/a%' }, '/run/dbus/system_bus_socket'],
    [true, { DBUS_SESSION_BUS_ADDRESS: 'unix:guid=1,path=/s' }, '/s'],
    [true, { XDG_RUNTIME_DIR: '/run/user/7' }, '/run/user/7/bus'],
  ])('of a user: %s, with %j, is %s', (user, env, socket) => {
    expect(busSocket(user, env)).toBe(socket);
  });

  it('of a user without a session is none', () => {
    expect(() => busSocket(true, {})).toThrow('XDG_RUNTIME_DIR');
  });
});
