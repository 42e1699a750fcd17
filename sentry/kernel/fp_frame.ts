/**
 * Floating-point state in signal frames: XSAVE format, described by a few words in the part of the
 * FXSAVE area that software may use (Linux's struct _fpx_sw_bytes), and a second magic number behind it.
 */
import { EFAULT, EINVAL, ESRCH } from '../../spec/linux/errno.ts';
import { FPSTATE, FPX_SW_BYTES } from '../../spec/linux/layout/signal.ts';
import { getU32, putU32 } from '../../spec/linux/little_endian.ts';
import {
  FP_XSTATE_MAGIC1,
  FP_XSTATE_MAGIC2,
  FP_XSTATE_MAGIC2_SIZE,
  SIGKILL,
} from '../../spec/linux/signal.ts';
import type { Context } from '../platform/platform.ts';
import { beginGroupExit } from './exit.ts';
import type { Task } from './task.ts';

const LEGACY_SIZE = FPSTATE.size;
/** The XSAVE header's state-component bit map, and where the extended state begins. */
const XSTATE_BV = 512;
const EXTENDED_START = 576;
const SW_AT = FPSTATE.offsets.sw_reserved;
const XFEATURES_X87_SSE = 3;
/** Matrix tiles (AMX) lie from here on; they are 8 KiB that nearly nobody uses. */
const TILE_FEATURES = 0x60000;
const TILE_START = 2752;

/** The bytes for the frame, or null when the host thread is gone. */
export function saveFpFrame(context: Context): Uint8Array | null {
  const full = context.fpStateSize;
  let bytes = new Uint8Array(full + FP_XSTATE_MAGIC2_SIZE);
  if (context.getFpState(bytes.subarray(0, full)) < 0) return null;
  if (full < EXTENDED_START) return bytes.subarray(0, full);
  const used = getU32(bytes, XSTATE_BV);
  let size = full;
  let features = XFEATURES_X87_SSE | used;
  if (full > TILE_START && (used & TILE_FEATURES) === 0) {
    size = TILE_START;
    bytes = bytes.subarray(0, size + FP_XSTATE_MAGIC2_SIZE);
    features &= ~TILE_FEATURES;
  }
  FPX_SW_BYTES.encode(
    {
      magic1: FP_XSTATE_MAGIC1,
      extended_size: size + FP_XSTATE_MAGIC2_SIZE,
      xfeatures: [features >>> 0, getU32(bytes, XSTATE_BV + 4)],
      xstate_size: size,
    },
    bytes,
    SW_AT,
  );
  putU32(bytes, size, FP_XSTATE_MAGIC2);
  return bytes;
}

/**
 * Loads what the frame holds at `addr` (0: the initial state). Without valid magic numbers only the
 * FXSAVE area counts. 0 or -errno.
 */
export function loadFpFrame(t: Task, addr: number): number {
  const { context, mm } = t;
  if (addr === 0) {
    context.resetFpState();
    return 0;
  }
  const full = context.fpStateSize;
  const bytes = new Uint8Array(full);
  if (mm.copyIn(addr, bytes, 0, LEGACY_SIZE) < 0) return -EFAULT;
  const size = extendedSize(t, addr, bytes);
  if (size > LEGACY_SIZE) {
    if (mm.copyIn(addr + LEGACY_SIZE, bytes, LEGACY_SIZE, size - LEGACY_SIZE) < 0) return -EFAULT;
  } else if (full > LEGACY_SIZE) {
    putU32(bytes, XSTATE_BV, XFEATURES_X87_SSE);
  }
  bytes.fill(0, SW_AT, LEGACY_SIZE);
  const r = context.setFpState(bytes);
  // Its host thread is gone, which the platform has yet to tell.
  if (r === -ESRCH) beginGroupExit(t.group, SIGKILL);
  return r === -EINVAL ? -EINVAL : 0;
}

/** Bytes of XSAVE state behind a frame's magic numbers; 512 when they do not say so. */
function extendedSize(t: Task, addr: number, legacy: Uint8Array): number {
  const sw = FPX_SW_BYTES.decode(legacy, SW_AT);
  const size = sw.xstate_size;
  if (sw.magic1 !== FP_XSTATE_MAGIC1) return LEGACY_SIZE;
  if (size < EXTENDED_START || size > t.context.fpStateSize) return LEGACY_SIZE;
  if (sw.extended_size < size + FP_XSTATE_MAGIC2_SIZE) return LEGACY_SIZE;
  return t.mm.readU32(addr + size) === FP_XSTATE_MAGIC2 ? size : LEGACY_SIZE;
}
