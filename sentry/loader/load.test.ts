/** Loading real programs and hostile ones into a fake address space. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  AT_BASE,
  AT_ENTRY,
  AT_EXECFN,
  AT_PHDR,
  AT_PHNUM,
  AT_RANDOM,
} from '../../spec/linux/elf.ts';
import { E2BIG, EIO, ELOOP, ENOENT, ENOEXEC } from '../../spec/linux/errno.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../spec/linux/mman.ts';
import { byteStringBytes } from '../base/byte_string.ts';
import { StringList } from '../base/string_list.ts';
import { difference, FakeFile, FakeHost } from '../mm/fake_space.ts';
import type { IoBuffer } from '../mm/io_buffer.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';
import type { ElfImage } from './elf.ts';
import { type LoadRequest, loadProgram, type ProgramFile } from './load.ts';
import { parseScript } from './script.ts';

let nextFd = 1000;

class FakeProgram implements ProgramFile {
  readonly bytes: Uint8Array;
  private readonly host: FakeHost;
  image: ElfImage | null = null;
  reads = 0;
  open = true;

  constructor(host: FakeHost, bytes: Uint8Array) {
    this.host = host;
    this.bytes = bytes;
  }
  pread(dst: IoBuffer, offset: number): number {
    this.reads++;
    return dst.write(this.bytes.subarray(offset, offset + dst.remaining));
  }
  mappable(): FakeFile {
    return new FakeFile(this.host, nextFd++, this.bytes);
  }
  close(): void {
    if (!this.open) throw new Error('closed twice');
    this.open = false;
  }
}

class Bench {
  readonly host = new FakeHost(64 * 1024 * 1024);
  readonly mm: MemoryManager = this.host.newManager();
  readonly opened: FakeProgram[] = [];
  readonly files = new Map<string, Uint8Array>();

  program(bytes: Uint8Array): FakeProgram {
    const program = new FakeProgram(this.host, bytes);
    this.opened.push(program);
    return program;
  }

  load(path: string, more: Partial<LoadRequest> = {}): ReturnType<typeof loadProgram> {
    const open = (name: string) => {
      const bytes = this.files.get(name);
      return bytes === undefined ? -ENOENT : this.program(bytes);
    };
    const file = open(path) as FakeProgram;
    return loadProgram(this.mm, {
      file,
      filename: path,
      argv: StringList.of(['name', 'one']),
      envp: StringList.of(['A=b']),
      open,
      uid: 1,
      euid: 2,
      gid: 3,
      egid: 4,
      secure: false,
      stackLimit: 8 * 1024 * 1024,
      random: (into) => into.fill(0x5a),
      vdso: null,
      ...more,
    });
  }

  string(addr: number): string | number {
    return this.mm.copyInString(addr, 4096);
  }

  /** Reads the stack as a program's start code does. */
  stack(sp: number) {
    const argc = this.mm.readU64(sp);
    const argv = Array.from({ length: argc }, (_, i) => {
      return this.string(this.mm.readU64(sp + 8 + i * 8));
    });
    const envp: (string | number)[] = [];
    let at = sp + 8 * (argc + 2);
    for (; this.mm.readU64(at) !== 0; at += 8) envp.push(this.string(this.mm.readU64(at)));
    const auxv = new Map<number, number>();
    for (at += 8; this.mm.readU64(at) !== 0; at += 16) {
      auxv.set(this.mm.readU64(at), this.mm.readU64(at + 8));
    }
    return { argv, envp, auxv };
  }
}

/** A static ELF of one segment, as small as it gets. */
function tiny(change: (view: DataView) => void = () => {}, length = 0x200): Uint8Array {
  const bytes = new Uint8Array(length).fill(0x90, 120);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, 0x400078, true);
  view.setUint32(32, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 7, true);
  view.setUint32(64 + 16, 0x400000, true);
  view.setUint32(64 + 32, length, true);
  view.setUint32(64 + 40, 0x3000, true);
  change(view);
  return bytes;
}

describe('programs', () => {
  test('a static one: segments, zeroed rest, stack', () => {
    const bench = new Bench();
    bench.files.set('/bin/tiny', tiny());
    const loaded = bench.load('/bin/tiny');
    if (typeof loaded === 'number') throw new Error(`load: ${loaded}`);
    expect(loaded.entry).toBe(0x400078);
    expect(loaded.name).toBe('tiny');
    expect(loaded.stackPointer % 16).toBe(0);
    expect(bench.mm.readU8(0x400078)).toBe(0x90);
    expect(bench.mm.readU8(0x400200)).toBe(0);
    expect(bench.mm.readU32(0x402ffc)).toBe(0);
    expect(bench.mm.readU8(0x403000)).toBeLessThan(0);
    const { argv, envp, auxv } = bench.stack(loaded.stackPointer);
    expect(argv).toEqual(['name', 'one']);
    expect(envp).toEqual(['A=b']);
    expect(auxv.get(AT_PHDR)).toBe(0x400040);
    expect(auxv.get(AT_PHNUM)).toBe(1);
    expect(bench.string(auxv.get(AT_EXECFN)!)).toBe('/bin/tiny');
    expect(bench.mm.readU32(auxv.get(AT_RANDOM)!)).toBe(0x5a5a5a5a);
    expect(difference(bench.mm)).toBe('');
    expect(bench.opened.map((file) => file.open)).toEqual([true]);
    bench.mm.release();
    expect(bench.host.memory.reservedBytes).toBe(0);
  });

  test('the machine’s own dynamic program with its interpreter', () => {
    const bench = new Bench();
    const bytes = new Uint8Array(readFileSync('/bin/true'));
    const text = Buffer.from(bytes).toString('latin1');
    const interpreter = /\/lib[\w/.-]*ld-linux[\w.-]*/.exec(text)![0];
    bench.files.set('/bin/true', bytes);
    bench.files.set(interpreter, new Uint8Array(readFileSync(interpreter)));
    const loaded = bench.load('/bin/true');
    if (typeof loaded === 'number') throw new Error(`load: ${loaded}`);
    const { auxv } = bench.stack(loaded.stackPointer);
    const base = auxv.get(AT_BASE)!;
    expect(loaded.entry).toBeGreaterThan(base);
    expect(auxv.get(AT_ENTRY)).toBeGreaterThan(0x550000000000);
    expect(bench.mm.readU32(base)).toBe(0x464c457f);
    for (const at of [loaded.entry, auxv.get(AT_ENTRY)!]) {
      expect(bench.mm.vmas.find(at)!.prot).toBe(PROT_READ | PROT_EXEC);
    }
    expect(bench.mm.brkStart % PAGE_SIZE).toBe(0);
    expect(difference(bench.mm)).toBe('');
    // The interpreter's file is not kept open.
    expect(bench.opened.map((file) => file.open)).toEqual([true, false]);
    const stack = bench.mm.vmas.find(loaded.stackPointer)!;
    expect(stack.name).toBe('[stack]');
    expect(stack.prot).toBe(PROT_READ | PROT_WRITE);
  });

  test('what is understood already is not read again', () => {
    const bench = new Bench();
    bench.files.set('/bin/tiny', tiny());
    const first = bench.load('/bin/tiny');
    if (typeof first === 'number') throw new Error(`load: ${first}`);
    const { image, reads } = bench.opened[0]!;
    expect([image?.entry, reads]).toEqual([0x400078, 2]);
    const again = new Bench();
    const file = again.program(tiny());
    file.image = image;
    again.files.set('/bin/tiny', file.bytes);
    const loaded = again.load('/bin/tiny', { file });
    expect(loaded).toMatchObject({ entry: 0x400078, name: 'tiny' });
    expect(file.reads).toBe(0);
    expect(again.mm.readU8(0x400078)).toBe(0x90);
    expect(difference(again.mm)).toBe('');
  });

  test('too many arguments', () => {
    const bench = new Bench();
    bench.files.set('/t', tiny());
    expect(bench.load('/t', { argv: StringList.of(['x'.repeat(131072)]) })).toBe(-E2BIG);
    const many = StringList.of(new Array(300).fill('y'.repeat(10000)));
    expect(bench.load('/t', { argv: many })).toBe(-E2BIG);
    expect(bench.opened.every((file) => !file.open)).toBe(true);
  });
});

describe('bad files', () => {
  const cases: [string, Uint8Array, number][] = [
    ['empty', new Uint8Array(0), -ENOEXEC],
    ['text', byteStringBytes('echo hello\n'), -ENOEXEC],
    ['cut header', tiny().slice(0, 63), -ENOEXEC],
    ['cut program headers', tiny().slice(0, 100), -ENOEXEC],
    ['32 bits', tiny((v) => v.setUint8(4, 1)), -ENOEXEC],
    ['another machine', tiny((v) => v.setUint16(18, 183, true)), -ENOEXEC],
    ['a relocatable', tiny((v) => v.setUint16(16, 1, true)), -ENOEXEC],
    ['no segments', tiny((v) => v.setUint32(64, 4, true)), -ENOEXEC],
    ['headers far away', tiny((v) => v.setUint32(36, 0xffffffff, true)), -22],
    ['file larger than memory', tiny((v) => v.setUint32(104, 1, true)), -22],
    ['huge memory', tiny((v) => v.setUint32(108, 0x7fffffff, true)), -12],
    ['kernel address', tiny((v) => v.setUint32(84, 0xffff8000, true)), -12],
    ['address 0', tiny((v) => v.setUint32(80, 0, true)), -1],
    ['interpreter without end', tiny((v) => v.setUint32(64, 3, true)), -ENOEXEC],
    ['interpreter cut', interpreterCut(), -EIO],
  ];
  test.each(cases)('%s', (_name, bytes, error) => {
    const bench = new Bench();
    bench.files.set('/t', bytes);
    expect(bench.load('/t')).toBe(error);
    expect(bench.opened.every((file) => !file.open)).toBe(true);
    bench.mm.release();
    expect(bench.host.memory.reservedBytes).toBe(0);
  });

  function interpreterCut(): Uint8Array {
    return tiny((v) => {
      v.setUint32(64, 3, true);
      v.setUint32(64 + 8, 0x1f0, true);
      v.setUint32(64 + 32, 100, true);
    });
  }

  test('random damage to a real program never throws', () => {
    const original = new Uint8Array(readFileSync('/bin/true'));
    let state = 7;
    const pick = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const bench = new Bench();
    for (let i = 0; i < 400; i++) {
      const bytes = original.slice();
      for (let n = 1 + pick(4); n > 0; n--) bytes[pick(64 + 13 * 56)] = pick(256);
      bench.files.set('/t', bytes);
      const mm = bench.host.newManager();
      const file = bench.program(bytes);
      const random = (into: Uint8Array) => into.fill(pick(256));
      const loaded = loadProgram(mm, {
        file,
        filename: '/t',
        argv: new StringList(),
        envp: new StringList(),
        open: () => bench.program(original),
        uid: 0,
        euid: 0,
        gid: 0,
        egid: 0,
        secure: false,
        stackLimit: Infinity,
        random,
        vdso: null,
      });
      expect(typeof loaded === 'number' ? loaded < 0 : loaded.entry >= 0).toBe(true);
      mm.release();
      expect(bench.host.memory.reservedBytes).toBe(0);
    }
  });
});

describe('scripts', () => {
  test('first lines', () => {
    const parse = (text: string) => parseScript(byteStringBytes(text));
    expect(parse('#!/bin/sh\necho')).toEqual({ interpreter: '/bin/sh', argument: null });
    expect(parse('#! \t/usr/bin/env  -S a b \t\nx')).toEqual({
      interpreter: '/usr/bin/env',
      argument: '-S a b',
    });
    expect(parse('#!/bin/sh')).toEqual({ interpreter: '/bin/sh', argument: null });
    expect(parse('#!\n')).toBe(-ENOEXEC);
    expect(parse('#!   ')).toBe(-ENOEXEC);
    expect(parse(`#!/${'x'.repeat(253)}`)).toBe(-ENOEXEC);
    expect(parse(`#!/bin/sh ${'x'.repeat(246)}`)).toMatchObject({ interpreter: '/bin/sh' });
  });

  test('arguments, names and the limit', () => {
    const bench = new Bench();
    bench.files.set('/bin/tiny', tiny());
    bench.files.set('/s1', byteStringBytes('#!/s2 -x y\n'));
    bench.files.set('/s2', byteStringBytes('#!/bin/tiny\n'));
    const loaded = bench.load('/s1');
    if (typeof loaded === 'number') throw new Error(`load: ${loaded}`);
    const { argv, auxv } = bench.stack(loaded.stackPointer);
    expect(argv).toEqual(['/bin/tiny', '/s2', '-x y', '/s1', 'one']);
    expect(loaded.name).toBe('s1');
    expect(bench.string(auxv.get(AT_EXECFN)!)).toBe('/s1');
    expect(bench.opened.map((file) => file.open)).toEqual([false, false, true]);
    bench.files.set('/loop', byteStringBytes('#!/loop\n'));
    expect(bench.load('/loop')).toBe(-ELOOP);
    bench.files.set('/gone', byteStringBytes('#!/nowhere\n'));
    expect(bench.load('/gone')).toBe(-ENOENT);
  });
});
