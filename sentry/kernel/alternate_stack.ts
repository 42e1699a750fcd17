/**
 * The alternate signal stack (sigaltstack(2)).
 */
import { EINVAL, ENOMEM, EPERM } from '../../spec/linux/errno.ts';
import { MINSIGSTKSZ, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from '../../spec/linux/signal.ts';
import { REG_RSP } from '../platform/platform.ts';
import type { AlternateStack } from './signal.ts';
import type { Task } from './task.ts';

export const NO_ALTERNATE_STACK: AlternateStack = { address: 0, size: 0, flags: SS_DISABLE };

/** Whether a stack pointer lies on `stack`. One that disarms itself is never "on". */
export function onAlternateStack(stack: AlternateStack, sp: number): boolean {
  if ((stack.flags & SS_AUTODISARM) !== 0) return false;
  return sp > stack.address && sp - stack.address <= stack.size;
}

/** ss_flags as sigaltstack(2) reports them. */
export function alternateStackFlags(t: Task): number {
  const stack = t.alternateStack;
  if (stack.size === 0) return SS_DISABLE;
  const on = onAlternateStack(stack, t.context.regs.get(REG_RSP)) ? SS_ONSTACK : 0;
  return (on | (stack.flags & SS_AUTODISARM)) >>> 0;
}

/** 0, -EPERM while running on it, -EINVAL, or -ENOMEM when it is too small. */
export function setAlternateStack(t: Task, stack: AlternateStack): number {
  if (onAlternateStack(t.alternateStack, t.context.regs.get(REG_RSP))) return -EPERM;
  const mode = (stack.flags & ~SS_AUTODISARM) >>> 0;
  if (mode !== SS_DISABLE && mode !== SS_ONSTACK && mode !== 0) return -EINVAL;
  if (mode === SS_DISABLE) {
    t.alternateStack = { ...NO_ALTERNATE_STACK, flags: stack.flags };
    return 0;
  }
  if (stack.size < MINSIGSTKSZ) return -ENOMEM;
  t.alternateStack = stack;
  return 0;
}
