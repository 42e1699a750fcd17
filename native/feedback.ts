/**
 * When V8 begins to keep feedback about a function, which its inline caches and all later tiers live on.
 *
 * What a boot calls a few times gets none (tools/flags.mjs): a sandbox that then idles would pay for it
 * with 0.3 MB. Who has work to do switches to V8's own measure, once.
 */
import { setFlagsFromString } from 'node:v8';

/** For functions that are called for the first time from now on. */
export function keepFeedbackSoon(): void {
  setFlagsFromString('--invocation-count-for-feedback-allocation=8');
}
