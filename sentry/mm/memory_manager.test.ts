/** MemoryManager against a host made of arrays: single behaviours, then random operations. */
import { describe, expect, test } from 'vitest';
import { EACCES, EEXIST, EFAULT, EINVAL, ENAMETOOLONG, ENOMEM } from '../../spec/linux/errno.ts';
import {
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_WIPEONFORK,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK } from '../../spec/linux/resource.ts';
import type { Context } from '../platform/platform.ts';
import { difference, FakeFile, FakeHost, fakeSpace, load, store } from './fake_space.ts';
import { FAULT_ACCERR, FAULT_BUS, FAULT_MAPERR, FAULT_OOM } from './fault.ts';
import { FilePages } from './file_pages.ts';
import { IoBuffer } from './io_buffer.ts';
import type { MemoryManager } from './memory_manager.ts';

const MIB = 1024 * 1024;
const RW = PROT_READ | PROT_WRITE;
const ANY = null as unknown as Context;
const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;

function anon(mm: MemoryManager, pages: number, prot = RW, flags = PRIVATE, addr = 0): number {
  return mm.mmap({ addr, length: pages * PAGE_SIZE, prot, flags, file: null, offset: 0 });
}

function forked(mm: MemoryManager): MemoryManager {
  const result = mm.fork(ANY);
  if (typeof result === 'number') throw new Error(`fork: ${result}`);
  return result.mm;
}

describe('mmap', () => {
  test('places downwards and merges neighbours', () => {
    const mm = new FakeHost(16 * MIB).newManager();
    const a = anon(mm, 4);
    const b = anon(mm, 4);
    expect(b).toBe(a - 4 * PAGE_SIZE);
    expect(mm.vmas.items.length).toBe(1);
    expect(difference(mm)).toBe('');
  });

  test('refuses what Linux refuses', () => {
    const mm = new FakeHost(16 * MIB).newManager();
    const ask = { addr: 0, length: 4096, prot: RW, flags: PRIVATE, file: null, offset: 0 };
    expect(mm.mmap({ ...ask, length: 0 })).toBe(-EINVAL);
    expect(mm.mmap({ ...ask, flags: MAP_ANONYMOUS })).toBe(-EINVAL);
    expect(mm.mmap({ ...ask, addr: 0x10001, flags: PRIVATE | MAP_FIXED })).toBe(-EINVAL);
    expect(mm.mmap({ ...ask, addr: 2 ** 47, flags: PRIVATE | MAP_FIXED })).toBe(-ENOMEM);
    expect(mm.mmap({ ...ask, length: 2 ** 63 })).toBeLessThan(0);
    expect(mm.mmap({ ...ask, prot: RW, maxProt: PROT_READ })).toBe(-EACCES);
    const at = mm.mmap(ask);
    expect(mm.mmap({ ...ask, addr: at, flags: PRIVATE | MAP_FIXED_NOREPLACE })).toBe(-EEXIST);
    expect(mm.munmap(1, 4096)).toBe(-EINVAL);
    expect(mm.munmap(at, 0)).toBe(-EINVAL);
  });

  test('limits', () => {
    const limits = new Map<number, number>();
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager({ rlimit: (r) => limits.get(r) ?? Infinity, mayLock: false });
    limits.set(RLIMIT_AS, 8 * PAGE_SIZE);
    expect(anon(mm, 8)).toBeGreaterThan(0);
    expect(anon(mm, 1)).toBe(-ENOMEM);
    limits.set(RLIMIT_AS, Infinity);
    limits.set(RLIMIT_DATA, 10 * PAGE_SIZE);
    expect(anon(mm, 3)).toBe(-ENOMEM);
    expect(anon(mm, 3, PROT_READ)).toBeGreaterThan(0);
  });

  test('a failing host mapping undoes itself', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    fakeSpace(mm).failure = -ENOMEM;
    expect(anon(mm, 4)).toBe(-ENOMEM);
    expect(mm.vmas.items.length).toBe(0);
    expect(host.memory.reservedBytes).toBe(0);
  });

  test('a huge reservation is backed where it is touched', () => {
    const host = new FakeHost(64 * MIB);
    const mm = host.newManager();
    const at = anon(mm, 2 ** 28);
    expect(at).toBeGreaterThan(0);
    expect(host.memory.reservedBytes).toBe(0);
    expect(store(host, mm, at + 2 ** 35, 7)).toBe(0);
    expect(load(host, mm, at + 2 ** 35)).toBe(7);
    expect(host.memory.reservedBytes).toBe(16 * MIB);
    expect(difference(mm)).toBe('');
  });

  test('where memory ends inside the window, each page touched is backed or an error', () => {
    const host = new FakeHost(17 * MIB);
    const mm = host.newManager();
    const at = anon(mm, 2 ** 28);
    const window = at + (16 * MIB - (at % (16 * MIB)));
    expect(store(host, mm, window, 1)).toBe(0);
    // One MiB is left: the window does not fit, the page does.
    const next = window + 16 * MIB;
    expect(store(host, mm, next + MIB, 2)).toBe(0);
    expect(host.memory.reservedBytes).toBe(16 * MIB + PAGE_SIZE);
    // The window begins with a page that is backed, and the next is still no error.
    expect(store(host, mm, next, 3)).toBe(0);
    expect(mm.readU8(next + 9 * PAGE_SIZE)).toBe(0);
    expect(load(host, mm, next + MIB)).toBe(2);
    while (anon(mm, 1) > 0);
    expect(mm.readU8(next + 12 * MIB)).toBe(-EFAULT);
    expect(store(host, mm, next + 12 * MIB, 4)).toBe(-FAULT_OOM);
    expect(difference(mm)).toBe('');
  });
});

describe('copy-on-write', () => {
  test('both sides keep their own values, and pages come back', () => {
    const host = new FakeHost(16 * MIB);
    const parent = host.newManager();
    const at = anon(parent, 64);
    for (let i = 0; i < 64; i++) store(host, parent, at + i * PAGE_SIZE, i + 1);
    const child = forked(parent);
    expect(store(host, child, at, 100)).toBe(0);
    expect(load(host, parent, at)).toBe(1);
    expect(load(host, child, at + PAGE_SIZE)).toBe(2);
    expect(store(host, parent, at + 20 * PAGE_SIZE, 200)).toBe(0);
    expect(load(host, child, at + 20 * PAGE_SIZE)).toBe(21);
    expect(difference(parent) + difference(child)).toBe('');
    child.release();
    expect(store(host, parent, at + 63 * PAGE_SIZE, 300)).toBe(0);
    // Alone again: one write made the rest writable.
    expect(parent.pmas.items.every((pma) => !pma.cow || pma.start < at + 32 * PAGE_SIZE)).toBe(
      true,
    );
    expect(difference(parent)).toBe('');
    parent.release();
    expect(host.memory.reservedBytes).toBe(0);
  });

  test('neighbouring copies merge', () => {
    const host = new FakeHost(16 * MIB);
    const parent = host.newManager();
    const at = anon(parent, 256);
    const child = forked(parent);
    for (let i = 0; i < 256; i++) expect(store(host, child, at + i * PAGE_SIZE, i)).toBe(0);
    expect(child.pmas.items.length).toBe(1);
  });

  test('kernel writes copy too', () => {
    const host = new FakeHost(16 * MIB);
    const parent = host.newManager();
    const at = anon(parent, 2);
    store(host, parent, at, 5);
    const child = forked(parent);
    expect(child.readU32(at)).toBe(5);
    expect(child.writeU32(at, 6)).toBe(0);
    expect(child.readU32(at)).toBe(6);
    expect(parent.readU32(at)).toBe(5);
    expect(load(host, child, at)).toBe(6);
  });

  test('shared memory stays shared; MADV_DONTFORK and MADV_WIPEONFORK', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    const shared = anon(mm, 1, RW, MAP_SHARED | MAP_ANONYMOUS);
    const hidden = anon(mm, 1);
    const wiped = anon(mm, 1);
    for (const at of [shared, hidden, wiped]) store(host, mm, at, 9);
    expect(mm.madvise(hidden, PAGE_SIZE, MADV_DONTFORK)).toBe(0);
    expect(mm.madvise(wiped, PAGE_SIZE, MADV_WIPEONFORK)).toBe(0);
    const child = forked(mm);
    store(host, child, shared, 10);
    expect(load(host, mm, shared)).toBe(10);
    expect(load(host, child, hidden)).toBe(-FAULT_MAPERR);
    expect(load(host, child, wiped)).toBe(0);
    expect(difference(child)).toBe('');
    const key = mm.futexKey(shared, false);
    expect(key).toEqual(child.futexKey(shared, false));
    mm.release();
    expect(load(host, child, shared)).toBe(10);
    child.release();
    expect(host.memory.reservedBytes).toBe(0);
  });
});

describe('files', () => {
  function setup() {
    const host = new FakeHost(16 * MIB);
    const file = new FakeFile(host, 5, new Uint8Array(3 * PAGE_SIZE).fill(0x11));
    return { host, mm: host.newManager(), file };
  }
  const LENGTH = 5 * PAGE_SIZE;

  test('private writes do not reach the file; beyond the end is SIGBUS', () => {
    const { host, mm, file } = setup();
    const at = mm.mmap({ addr: 0, length: LENGTH, prot: RW, flags: MAP_PRIVATE, file, offset: 0 });
    expect(load(host, mm, at)).toBe(0x11111111);
    expect(store(host, mm, at, 1)).toBe(0);
    expect(load(host, mm, at)).toBe(1);
    expect(file.bytes[0]).toBe(0x11);
    expect(load(host, mm, at + 3 * PAGE_SIZE)).toBe(-FAULT_BUS);
    expect(mm.readU32(at + 3 * PAGE_SIZE)).toBe(-EFAULT);
    expect(difference(mm)).toBe('');
    expect(mm.madvise(at, LENGTH, MADV_DONTNEED)).toBe(0);
    expect(load(host, mm, at)).toBe(0x11111111);
  });

  test('the kernel reads and writes mapped host files through their descriptor', () => {
    const { mm, file } = setup();
    const ask = { addr: 0, length: LENGTH, prot: RW, file, offset: 0 };
    const at = mm.mmap({ ...ask, flags: MAP_SHARED });
    expect(mm.writeU32(at + 4094, 0xaabbccdd)).toBe(0);
    expect([...file.bytes.subarray(4094, 4098)]).toEqual([0xdd, 0xcc, 0xbb, 0xaa]);
    expect(mm.readU32(at + 4094)).toBe(0xaabbccdd);
    const ro = mm.mmap({ ...ask, flags: MAP_PRIVATE, prot: PROT_READ | PROT_EXEC });
    file.bytes.set([104, 105, 0], 100);
    expect(mm.copyInString(ro + 100, 10)).toBe('hi');
    expect(mm.copyInString(ro + 200, 10)).toBe(-ENAMETOOLONG);
    // Longer than a piece, and across a page.
    file.bytes.fill(120, PAGE_SIZE - 700, PAGE_SIZE + 5);
    file.bytes[PAGE_SIZE + 5] = 0;
    expect(mm.copyInString(ro + PAGE_SIZE - 700, 4096)).toBe('x'.repeat(705));
    expect(mm.copyInString(ro + PAGE_SIZE - 700, 705)).toBe(-ENAMETOOLONG);
    expect(mm.copyInString(ro + PAGE_SIZE - 700, 706)).toBe('x'.repeat(705));
    expect(mm.writeU8(ro, 1)).toBe(-EFAULT);
  });

  test('tmpfs pages: truncation takes them away, hole punching keeps private copies', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    const file = new FilePages(host.memory, {
      devMajor: 0,
      devMinor: 9,
      ino: 3,
      mapName: () => '/t',
    });
    const data = new Uint8Array(4 * PAGE_SIZE).fill(7);
    expect(file.write(IoBuffer.over(data), 0)).toBe(data.length);
    const ask = { addr: 0, length: data.length, prot: RW, file, offset: 0 };
    const shared = mm.mmap({ ...ask, flags: MAP_SHARED });
    const copied = mm.mmap({ ...ask, flags: MAP_PRIVATE });
    store(host, mm, shared, 1);
    store(host, mm, copied + 3 * PAGE_SIZE, 2);
    const back = new Uint8Array(4);
    file.read(IoBuffer.over(back), 0);
    expect(back[0]).toBe(1);
    file.punchHole(PAGE_SIZE, 3 * PAGE_SIZE);
    expect(load(host, mm, shared + PAGE_SIZE)).toBe(0);
    expect(load(host, mm, copied + 3 * PAGE_SIZE)).toBe(2);
    file.truncate(PAGE_SIZE + 1);
    expect(load(host, mm, copied + 3 * PAGE_SIZE)).toBe(-FAULT_BUS);
    expect(load(host, mm, shared + 2 * PAGE_SIZE)).toBe(-FAULT_BUS);
    expect(load(host, mm, shared + PAGE_SIZE)).toBe(0);
    expect(difference(mm)).toBe('');
    file.release();
    expect(load(host, mm, shared)).toBe(1);
    mm.release();
    expect(host.memory.reservedBytes).toBe(0);
  });
});

describe('faults', () => {
  test('codes', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    const at = anon(mm, 2, PROT_READ);
    expect(store(host, mm, at, 1)).toBe(-FAULT_ACCERR);
    expect(mm.fault(at, PROT_EXEC)).toBe(FAULT_ACCERR);
    expect(mm.mprotect(at, PAGE_SIZE, PROT_NONE)).toBe(0);
    expect(load(host, mm, at)).toBe(-FAULT_ACCERR);
    expect(load(host, mm, at - 100 * PAGE_SIZE)).toBe(-FAULT_MAPERR);
    expect(mm.fault(2 ** 63, 0)).toBe(FAULT_MAPERR);
  });

  test('a stack grows down to its limit', () => {
    const host = new FakeHost(64 * MIB);
    const mm = host.newManager({
      rlimit: (r) => (r === RLIMIT_STACK ? MIB : Infinity),
      mayLock: false,
    });
    const at = anon(mm, 4, RW, PRIVATE | MAP_GROWSDOWN, 0x7ffff0000000);
    expect(store(host, mm, at - 200 * PAGE_SIZE, 3)).toBe(0);
    expect(mm.writeU32(at - 250 * PAGE_SIZE, 3)).toBe(0);
    expect(store(host, mm, at - 300 * PAGE_SIZE, 3)).toBe(-FAULT_MAPERR);
    expect(difference(mm)).toBe('');
  });
});

describe('mremap, brk', () => {
  test('grows, moves, keeps', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    const at = anon(mm, 2);
    store(host, mm, at + PAGE_SIZE, 4);
    const moved = mm.mremap(at, 2 * PAGE_SIZE, 8 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
    expect(load(host, mm, moved + PAGE_SIZE)).toBe(4);
    expect(load(host, mm, moved + 7 * PAGE_SIZE)).toBe(0);
    const target = 0x500000000000;
    const fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
    expect(mm.mremap(moved, 8 * PAGE_SIZE, 2 * PAGE_SIZE, fixed, target)).toBe(target);
    expect(load(host, mm, target + PAGE_SIZE)).toBe(4);
    expect(load(host, mm, moved)).toBe(-FAULT_MAPERR);
    const dont = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
    const other = mm.mremap(target, 2 * PAGE_SIZE, 2 * PAGE_SIZE, dont, 0);
    expect(load(host, mm, other + PAGE_SIZE)).toBe(4);
    expect(load(host, mm, target + PAGE_SIZE)).toBe(0);
    expect(difference(mm)).toBe('');
    expect(mm.mremap(0x600000000000, 4096, 4096, 0, 0)).toBe(-EFAULT);
  });

  test('the heap is one piece', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    mm.brkStart = 0x600000001000;
    mm.brkEnd = mm.brkStart;
    for (let i = 1; i < 10; i++) {
      anon(mm, 1);
      expect(mm.brk(mm.brkStart + i * 33 * 1024)).toBe(mm.brkStart + i * 33 * 1024);
    }
    expect(mm.vmas.items.filter((vma) => vma.name === '[heap]').length).toBe(1);
    store(host, mm, mm.brkStart + 4096, 5);
    expect(mm.brk(mm.brkStart)).toBe(mm.brkStart);
    expect(load(host, mm, mm.brkStart + 4096)).toBe(-FAULT_MAPERR);
    expect(mm.brk(0)).toBe(mm.brkStart);
    mm.release();
    expect(host.memory.reservedBytes).toBe(0);
  });
});

describe('buffers', () => {
  test('stop where memory stops, also when it goes while they sleep', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    const at = anon(mm, 4);
    const data = new Uint8Array(4 * PAGE_SIZE).fill(1);
    expect(mm.userBuffer(at + 3 * PAGE_SIZE, 2 * PAGE_SIZE, true)!.remaining).toBe(PAGE_SIZE);
    expect(mm.userBuffer(at + 4 * PAGE_SIZE, 1, true)).toBe(null);
    const buffer = mm.userBuffer(at, 4 * PAGE_SIZE, true)!;
    expect(buffer.write(data, 0, 10)).toBe(10);
    mm.munmap(at + PAGE_SIZE, 3 * PAGE_SIZE);
    expect(buffer.write(data)).toBe(PAGE_SIZE - 10);
    expect(buffer.faulted).toBe(true);
  });

  test('iovecs, parts and pieces', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    const at = anon(mm, 4);
    mm.writeU64(at, at + 100);
    mm.writeU64(at + 8, 3);
    mm.writeU64(at + 16, 0);
    mm.writeU64(at + 24, 0);
    mm.writeU64(at + 32, at + PAGE_SIZE);
    mm.writeU64(at + 40, 5);
    const buffer = mm.userVector(at, 3, true) as IoBuffer;
    expect(buffer.remaining).toBe(8);
    expect(buffer.spans(8).map((span) => span.length)).toEqual([3, 5]);
    const head = buffer.take(4);
    expect(head.write(Uint8Array.of(1, 2, 3, 4, 5))).toBe(4);
    expect(buffer.write(Uint8Array.of(5, 6, 7, 8, 9))).toBe(4);
    const back = new Uint8Array(5);
    mm.copyIn(at + PAGE_SIZE, back);
    expect([...back]).toEqual([4, 5, 6, 7, 8]);
    expect(mm.userVector(at, 1025, true)).toBe(-EINVAL);
    mm.writeU64(at + 40, -1);
    expect(mm.userVector(at, 3, true)).toBe(-EINVAL);
  });
});

describe('a host that refuses', () => {
  test('keeps pages it may still map, and forgets marks of a failed fork', () => {
    const host = new FakeHost(16 * MIB);
    const mm = host.newManager();
    const at = anon(mm, 4);
    fakeSpace(mm).failure = -ENOMEM;
    expect(mm.munmap(at, PAGE_SIZE)).toBe(-ENOMEM);
    expect(host.memory.reservedBytes).toBe(4 * PAGE_SIZE);
    fakeSpace(mm).failure = -ENOMEM;
    expect(mm.fork(ANY)).toBe(-ENOMEM);
    const child = forked(mm);
    store(host, child, at + PAGE_SIZE, 1);
    expect(load(host, mm, at + PAGE_SIZE)).toBe(0);
    child.release();
    mm.release();
    expect(host.memory.reservedBytes).toBe(0);
  });
});
