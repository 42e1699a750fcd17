/**
 * Stands in for spec/seccomp/sentry.ts and gofer.ts in the bundle of minimality.ts: the lists without
 * the entry that RUNSC_WITHOUT names, `sentry:read` or `gofer:read`.
 */
import type { HostUds } from '../../spec/control/boot.ts';
import { syscallName } from '../../spec/linux/syscall_numbers.ts';
import * as gofer from '../../spec/seccomp/gofer.ts';
import type { SyscallRule } from '../../spec/seccomp/rule.ts';
import * as sentry from '../../spec/seccomp/sentry.ts';

const without = process.env['RUNSC_WITHOUT'] ?? '';

const others = (list: string, rules: readonly SyscallRule[]) =>
  rules.filter(({ nr }) => `${list}:${syscallName(nr)}` !== without);

export const sentryRules = (platform: string) => others('sentry', sentry.sentryRules(platform));
export const sentrySocketRules = (sockets: HostUds) =>
  others('sentry', sentry.sentrySocketRules(sockets));
export const GOFER_RULES = others('gofer', gofer.GOFER_RULES);
export const goferSocketRules = (sockets: HostUds) =>
  others('gofer', gofer.goferSocketRules(sockets));
