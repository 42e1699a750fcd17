/**
 * The names of /proc/cpuinfo's "flags", by CPUID leaf, register and bit (Intel SDM vol. 2A "CPUID", AMD APM
 * vol. 3 appendix E; names as in Linux's arch/x86/include/asm/cpufeatures.h).
 */

/** Executes CPUID: eax, ebx, ecx, edx, each unsigned. */
export type Cpuid = (leaf: number, subleaf: number) => readonly [number, number, number, number];

const EAX = 0;
const EBX = 1;
const ECX = 2;
const EDX = 3;

interface Word {
  readonly leaf: number;
  readonly subleaf: number;
  readonly register: number;
  /** From bit 0, separated by spaces; '-' where Linux shows no name. */
  readonly names: string;
}

/** In the order Linux prints them. */
const WORDS: readonly Word[] = [
  {
    leaf: 1,
    subleaf: 0,
    register: EDX,
    names:
      'fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - ' +
      'dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe',
  },
  {
    leaf: 0x80000001,
    subleaf: 0,
    register: EDX,
    names:
      '- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - ' +
      'lm 3dnowext 3dnow',
  },
  {
    leaf: 1,
    subleaf: 0,
    register: ECX,
    names:
      'pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid ' +
      'dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand ' +
      'hypervisor',
  },
  {
    leaf: 0x80000001,
    subleaf: 0,
    register: ECX,
    names:
      'lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop ' +
      'skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc ' +
      'perfctr_llc mwaitx - -',
  },
  {
    leaf: 7,
    subleaf: 0,
    register: EBX,
    names:
      'fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f ' +
      'avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd ' +
      'sha_ni avx512bw avx512vl',
  },
  {
    leaf: 0xd,
    subleaf: 1,
    register: EAX,
    names: 'xsaveopt xsavec xgetbv1 xsaves xfd',
  },
  {
    leaf: 7,
    subleaf: 1,
    register: EAX,
    names: '- - - - avx_vnni avx512_bf16 - - - - - - - - - - - - - - - - - avx_ifma',
  },
  {
    leaf: 0x80000008,
    subleaf: 0,
    register: EBX,
    names: 'clzero irperf xsaveerptr - rdpru - - - - wbnoinvd',
  },
  {
    leaf: 7,
    subleaf: 0,
    register: ECX,
    names:
      '- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni ' +
      'avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - ' +
      'movdiri movdir64b enqcmd',
  },
  {
    leaf: 7,
    subleaf: 0,
    register: EDX,
    names:
      '- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize - ' +
      'tsxldtrk - pconfig arch_lbr - - amx_bf16 avx512_fp16 amx_tile amx_int8 - - flush_l1d ' +
      'arch_capabilities',
  },
];

/** Features that the host may have and an application in here cannot use. */
const HIDDEN = new Set(['vmx', 'svm', 'smx', 'sgx', 'monitor', 'mwaitx', 'intel_pt', 'hypervisor']);
/** Not a bit: true of all processors this runs on. */
const ALWAYS = ['constant_tsc', 'rep_good', 'nopl'];

/** Names of the features that `cpuid` tells. */
export function cpuFlags(cpuid: Cpuid): string[] {
  const basic = cpuid(0, 0)[0];
  const extended = cpuid(0x80000000, 0)[0];
  const flags: string[] = [];
  for (const { leaf, subleaf, register, names } of WORDS) {
    if (leaf > (leaf >= 0x80000000 ? extended : basic)) continue;
    const word = cpuid(leaf, subleaf)[register] as number;
    names.split(' ').forEach((name, bit) => {
      if (((word >>> bit) & 1) !== 0 && name !== '-' && !HIDDEN.has(name)) flags.push(name);
    });
    if (leaf === 0x80000001 && register === EDX) flags.push(...ALWAYS);
  }
  return flags;
}
