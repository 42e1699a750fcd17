/**
 * Taking pending signals: for delivery, sigtimedwait(2) and signalfd(2) alike (Linux's
 * dequeue_signal). Interval timers that fire by signal go on from here.
 */
import { SI_TIMER, SIGALRM } from '../../spec/linux/signal.ts';
import type { SigInfo } from './signal.ts';
import { SignalSet } from './signal_set.ts';
import type { Task } from './task.ts';

/** All but the signals of `set`: a mask that lets only those through. */
export function complement(set: SignalSet): SignalSet {
  return new SignalSet(~set.lo, ~set.hi);
}

/**
 * Takes the next signal outside `mask`: the task's own before the group's, and of its own those in
 * `first` before all others. Null when there is none.
 */
export function dequeueSignal(t: Task, mask: SignalSet, first?: SignalSet): SigInfo | null {
  let info: SigInfo | null = null;
  if (first !== undefined && t.pending.set.intersects(first)) {
    const others = complement(first);
    others.addAll(mask);
    info = t.pending.dequeue(others);
  }
  info ??= t.pending.dequeue(mask) ?? t.group.pending.dequeue(mask);
  if (info === null) return null;
  const timers = t.group.timers;
  if (timers !== null) {
    if (info.code === SI_TIMER) timers.signalTaken(info);
    else if (info.signo === SIGALRM) timers.alarmTaken();
  }
  return info;
}
