/** Capabilities across changes of user ids (capabilities(7)). */
import { expect, test } from 'vitest';
import {
  CAP_CHOWN,
  CAP_KILL,
  SECBIT_KEEP_CAPS,
  SECBIT_NO_SETUID_FIXUP,
} from '../../spec/linux/capability.ts';
import { ALL_CAPABILITIES, Credentials } from '../vfs/credentials.ts';
import { withUserIds } from './credential_changes.ts';

const root = Credentials.of(0, 0, [], ALL_CAPABILITIES);
const user = { uid: 5, euid: 5, suid: 5, fsuid: 5 };

test('leaving root for good drops everything', () => {
  const c = withUserIds(root, user);
  expect([c.permitted, c.effective, c.ambient]).toEqual([0, 0, 0]);
  expect(c.bounding).toBe(ALL_CAPABILITIES);
});

test('SECBIT_KEEP_CAPS keeps the permitted set, not the effective one', () => {
  const c = withUserIds(root.with({ securebits: SECBIT_KEEP_CAPS }), user);
  expect([c.permitted, c.effective]).toEqual([ALL_CAPABILITIES, 0]);
});

test('SECBIT_NO_SETUID_FIXUP changes nothing', () => {
  const c = withUserIds(root.with({ securebits: SECBIT_NO_SETUID_FIXUP }), user);
  expect([c.permitted, c.effective]).toEqual([ALL_CAPABILITIES, ALL_CAPABILITIES]);
});

test('the effective id comes and goes', () => {
  const away = withUserIds(root, { euid: 5, fsuid: 5 });
  expect([away.permitted, away.effective]).toEqual([ALL_CAPABILITIES, 0]);
  expect(withUserIds(away, { euid: 0, fsuid: 0 }).effective).toBe(ALL_CAPABILITIES);
});

test('the file-system id takes only the file capabilities along', () => {
  const away = withUserIds(root, { fsuid: 5 });
  expect(away.has(CAP_CHOWN)).toBe(false);
  expect(away.has(CAP_KILL)).toBe(true);
  expect(withUserIds(away, { fsuid: 0 }).has(CAP_CHOWN)).toBe(true);
});
