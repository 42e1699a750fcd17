/** `runsc help seccomp`: what the locked processes may ask of the host, from the very lists they install. */

import { strerror } from '../../spec/linux/errno.ts';
import { syscallName } from '../../spec/linux/syscall_numbers.ts';
import { GOFER_RULES, goferSocketRules } from '../../spec/seccomp/gofer.ts';
import type { ArgumentTest, SyscallRule } from '../../spec/seccomp/rule.ts';
import { sentryRules, sentrySocketRules } from '../../spec/seccomp/sentry.ts';
import { table } from './output.ts';

const HEXADECIMAL = 16;

function describeTest(test: ArgumentTest): string {
  const name = `arg${test.arg}`;
  const hex = (value: number) => `0x${value.toString(HEXADECIMAL)}`;
  if ('is' in test) return `${name} in ${test.is.map(hex).join(' ')}`;
  if ('equals' in test) return `${name} = ${hex(test.equals)}`;
  if ('bits' in test) return `${name} within ${hex(test.bits)}`;
  return `${name} > 0`;
}

function rows(rules: readonly SyscallRule[]): string[][] {
  return rules.map(({ nr, why, when, refuse }) => {
    const tests = when?.map((all) => all.map(describeTest).join(', ')).join('; or ');
    const refused = refuse === undefined ? '' : `refused: ${strerror(refuse)}`;
    return [syscallName(nr) ?? String(nr), why, tests ?? refused];
  });
}

function allowed(rules: readonly SyscallRule[]): number {
  return rules.filter(({ refuse }) => refuse === undefined).length;
}

export function seccompHelp(): string {
  const common = sentryRules('systrap');
  const onPtrace = sentryRules('ptrace').filter((rule) => !common.includes(rule));
  const parts: [string, readonly SyscallRule[]][] = [
    [`The Sentry: ${allowed(common)} system calls`, common],
    [`The Sentry on the ptrace platform: ${allowed(onPtrace)} more`, onPtrace],
    [`The Gofer: ${allowed(GOFER_RULES)} system calls`, GOFER_RULES],
    ['The Sentry with --host-uds=all besides', sentrySocketRules('all')],
    ['The Gofer with --host-uds=all besides', goferSocketRules('all')],
  ];
  const shown = parts.map(
    ([title, rules]) => `${title}\n\n${table([['NAME', 'WHY', 'ARGUMENTS'], ...rows(rules)])}`,
  );
  return `${shown.join('\n')}\nAnything else kills the process.\n`;
}
