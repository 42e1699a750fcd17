/**
 * /proc/cpuinfo (proc_cpuinfo(5)), told by the CPUID instruction (Intel SDM vol. 2, AMD APM vol. 3): the same
 * answers that programs get which ask it themselves.
 */
import { type Cpuid, cpuFlags } from './cpu_features.ts';

export interface CpuInfo {
  readonly cpuid: Cpuid;
  /** Rate of the time stamp counter, MHz. */
  mhz(): number;
}

const BRAND_LEAVES = [0x80000002, 0x80000003, 0x80000004];
const CACHE_LEAF = 0x80000006;
const ADDRESS_LEAF = 0x80000008;
const CLFLUSH_UNIT = 8;

function characters(words: readonly number[]): string {
  let text = '';
  for (const word of words) {
    for (let shift = 0; shift < 32; shift += 8) {
      const code = (word >>> shift) & 0xff;
      if (code !== 0) text += String.fromCharCode(code);
    }
  }
  return text;
}

interface Identity {
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  readonly brand: string;
  readonly clflush: number;
  readonly highestLeaf: number;
  readonly cacheKib: number;
  readonly physicalBits: number;
  readonly virtualBits: number;
}

function identify(cpuid: Cpuid): Identity {
  const [highestLeaf, b, c, d] = cpuid(0, 0);
  const [signature, extra] = cpuid(1, 0);
  const highestExtended = cpuid(0x80000000, 0)[0];
  const baseFamily = (signature >>> 8) & 0xf;
  const baseModel = (signature >>> 4) & 0xf;
  const family = baseFamily === 0xf ? baseFamily + ((signature >>> 20) & 0xff) : baseFamily;
  const model = family >= 6 ? baseModel + (((signature >>> 16) & 0xf) << 4) : baseModel;
  const brand =
    highestExtended >= 0x80000004 ? BRAND_LEAVES.flatMap((leaf) => [...cpuid(leaf, 0)]) : [];
  const cache = highestExtended >= CACHE_LEAF ? cpuid(CACHE_LEAF, 0)[2] >>> 16 : 0;
  const bits = highestExtended >= ADDRESS_LEAF ? cpuid(ADDRESS_LEAF, 0)[0] : 0x3024;
  return {
    vendor: characters([b, d, c]),
    family,
    model,
    stepping: signature & 0xf,
    brand: characters(brand).trim() || 'unknown',
    clflush: ((extra >>> 8) & 0xff) * CLFLUSH_UNIT,
    highestLeaf,
    cacheKib: cache,
    physicalBits: bits & 0xff,
    virtualBits: (bits >>> 8) & 0xff,
  };
}

/** `count` processors of one package, one thread each. */
export function cpuinfoText(info: CpuInfo, count: number): string {
  const id = identify(info.cpuid);
  const mhz = info.mhz();
  const flags = cpuFlags(info.cpuid).join(' ');
  const line = (name: string, value: string | number): string =>
    `${name}${name.length < 8 ? '\t\t' : '\t'}: ${value}\n`;
  let text = '';
  for (let cpu = 0; cpu < count; cpu++) {
    text +=
      line('processor', cpu) +
      line('vendor_id', id.vendor) +
      line('cpu family', id.family) +
      line('model', id.model) +
      line('model name', id.brand) +
      line('stepping', id.stepping) +
      line('cpu MHz', mhz.toFixed(3)) +
      line('cache size', `${id.cacheKib} KB`) +
      line('physical id', 0) +
      line('siblings', count) +
      line('core id', cpu) +
      line('cpu cores', count) +
      line('apicid', cpu) +
      line('initial apicid', cpu) +
      line('fpu', 'yes') +
      line('fpu_exception', 'yes') +
      line('cpuid level', id.highestLeaf) +
      line('wp', 'yes') +
      line('flags', flags) +
      'bugs\t\t:\n' +
      line('bogomips', (mhz * 2).toFixed(2)) +
      line('clflush size', id.clflush) +
      line('cache_alignment', id.clflush) +
      line('address sizes', `${id.physicalBits} bits physical, ${id.virtualBits} bits virtual`) +
      'power management:\n\n';
  }
  return text;
}
