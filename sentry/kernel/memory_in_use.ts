/**
 * How much memory a container's processes hold, for sysinfo(2) and /proc/meminfo. Pages shared between
 * address spaces count once each, so it is an upper bound, cut at the container's total.
 */
import type { MemoryManager } from '../mm/memory_manager.ts';
import type { Container } from './container.ts';

export function memoryInUseBytes(container: Container): number {
  const seen = new Set<MemoryManager>();
  let bytes = 0;
  for (const g of container.pids.groups.values()) {
    const mm = g.anyTask?.mm;
    if (mm === undefined || mm.dead || seen.has(mm)) continue;
    seen.add(mm);
    bytes += mm.usage().resident;
  }
  return Math.min(bytes, container.totalMemoryBytes);
}
