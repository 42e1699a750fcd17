/**
 * The processor as /proc/cpuinfo wants it, asked of the processor itself.
 */
import { cpuid, sampleClocks } from '../../native/index.ts';
import type { CpuInfo } from '../fsimpl/proc/cpuinfo.ts';

/** Counter ticks in a nanosecond are thousands of MHz. */
const MHZ_PER_GHZ = 1000;

export function hostCpu(): CpuInfo {
  const words = new Uint32Array(4);
  const first = new Float64Array(4);
  const now = new Float64Array(4);
  sampleClocks(first);
  return {
    cpuid: (leaf, subleaf) => {
      cpuid(leaf, subleaf, words);
      const [a = 0, b = 0, c = 0, d = 0] = words;
      return [a, b, c, d];
    },
    mhz: () => {
      sampleClocks(now);
      const ticks = (now[0] as number) - (first[0] as number);
      const elapsedNs = (now[1] as number) - (first[1] as number);
      return elapsedNs > 0 ? (ticks / elapsedNs) * MHZ_PER_GHZ : 0;
    },
  };
}
