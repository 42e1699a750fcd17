/**
 * ELF64 executables for x86-64 (elf(5); Linux's fs/binfmt_elf.c): reading the headers of a file that
 * may be anything, and mapping its segments.
 */

import {
  EI_CLASS,
  EI_DATA,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_X86_64,
  ET_DYN,
  ET_EXEC,
  PF_R,
  PF_W,
  PF_X,
  PT_GNU_STACK,
  PT_INTERP,
  PT_LOAD,
  PT_PHDR,
} from '../../spec/linux/elf.ts';
import { EACCES, EINVAL, EIO, ENOEXEC, ENOMEM } from '../../spec/linux/errno.ts';
import { ELF64_EHDR, ELF64_PHDR } from '../../spec/linux/layout/elf.ts';
import { getU16, getU32, getU64 } from '../../spec/linux/little_endian.ts';
import {
  MAP_ANONYMOUS,
  MAP_DENYWRITE,
  MAP_FIXED,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { decodeByteString } from '../base/byte_string.ts';
import { IoBuffer } from '../mm/io_buffer.ts';
import type { Mappable } from '../mm/mappable.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';
import { pageCeil, pageFloor } from '../mm/page.ts';
import { PROT_ALL } from '../mm/vma.ts';
import type { ProgramFile } from './load.ts';

/** Linux's ELF_MIN_ALIGN rule: all program headers fit one 64 KiB block. */
const MAX_HEADERS_LENGTH = 65536;
const PATH_MAX = 4096;
/** Of the fields that count, one by one: decoding all of them takes several times as long. */
const EH = ELF64_EHDR.offsets;
const PH = ELF64_PHDR.offsets;

export interface Segment {
  readonly vaddr: number;
  readonly offset: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly prot: number;
}

export interface ElfImage {
  /** ET_DYN: may be loaded anywhere. */
  readonly movable: boolean;
  readonly entry: number;
  readonly headerCount: number;
  /** Virtual address of the program headers, or -1 when no segment holds them. */
  readonly headersAddress: number;
  readonly interpreter: string | null;
  /** PT_GNU_STACK asks for an executable stack. */
  readonly executableStack: boolean;
  /** In ascending order, not overlapping. */
  readonly segments: readonly Segment[];
  /** The largest p_align of a segment, a power of two. */
  readonly alignment: number;
}

export function isElf(head: Uint8Array): boolean {
  return head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
}

/** Exactly `length` bytes, of `head` if it has them and else read, or null. */
function readAt(
  file: ProgramFile,
  head: Uint8Array,
  offset: number,
  length: number,
): Uint8Array | null {
  if (offset + length <= head.length) return head.subarray(offset, offset + length);
  if (offset > Number.MAX_SAFE_INTEGER - length) return null;
  const bytes = new Uint8Array(length);
  const buffer = IoBuffer.over(bytes);
  while (buffer.remaining > 0) {
    const n = file.pread(buffer, offset + buffer.done);
    if (n <= 0) return null;
  }
  return bytes;
}

/** Understands the headers. `head`: the first bytes of the file, as many as have been read. */
export function parseElf(file: ProgramFile, head: Uint8Array): ElfImage | number {
  if (head.length < ELF64_EHDR.size || !isElf(head)) return -ENOEXEC;
  if (head[EI_CLASS] !== ELFCLASS64 || head[EI_DATA] !== ELFDATA2LSB) return -ENOEXEC;
  const type = getU16(head, EH.e_type);
  if (type !== ET_EXEC && type !== ET_DYN) return -ENOEXEC;
  if (getU16(head, EH.e_machine) !== EM_X86_64) return -ENOEXEC;
  if (getU16(head, EH.e_phentsize) !== ELF64_PHDR.size) return -ENOEXEC;
  const count = getU16(head, EH.e_phnum);
  const length = count * ELF64_PHDR.size;
  if (count === 0 || length > MAX_HEADERS_LENGTH) return -ENOEXEC;
  const headersOffset = getU64(head, EH.e_phoff);
  if (headersOffset > Number.MAX_SAFE_INTEGER - length) return -EINVAL;
  const headers = readAt(file, head, headersOffset, length);
  if (headers === null) return -ENOEXEC;
  return parseHeaders(file, head, headers, {
    movable: type === ET_DYN,
    entry: getU64(head, EH.e_entry),
    headerCount: count,
    headersOffset,
  });
}

interface Fixed {
  readonly movable: boolean;
  readonly entry: number;
  readonly headerCount: number;
  readonly headersOffset: number;
}

function parseHeaders(
  file: ProgramFile,
  head: Uint8Array,
  headers: Uint8Array,
  fixed: Fixed,
): ElfImage | number {
  const segments: Segment[] = [];
  let interpreter: string | null = null;
  let executableStack = false;
  let headersAddress = -1;
  let alignment = PAGE_SIZE;
  for (let at = 0; at < headers.length; at += ELF64_PHDR.size) {
    const type = getU32(headers, at + PH.p_type);
    if (type === PT_LOAD) {
      const segment = newSegment(headers, at);
      if (typeof segment === 'number') return segment;
      if (segment.memorySize > 0) segments.push(segment);
      alignment = Math.max(alignment, usableAlignment(getU64(headers, at + PH.p_align)));
      const inside = fixed.headersOffset - segment.offset;
      if (headersAddress < 0 && inside >= 0 && inside < segment.fileSize) {
        headersAddress = segment.vaddr + inside;
      }
    } else if (type === PT_INTERP && interpreter === null) {
      const name = readInterpreter(
        file,
        head,
        getU64(headers, at + PH.p_offset),
        getU64(headers, at + PH.p_filesz),
      );
      if (typeof name === 'number') return name;
      interpreter = name;
    } else if (type === PT_GNU_STACK) {
      executableStack = (getU32(headers, at + PH.p_flags) & PF_X) !== 0;
    } else if (type === PT_PHDR) {
      const address = getU64(headers, at + PH.p_vaddr);
      if (address < Number.MAX_SAFE_INTEGER) headersAddress = address;
    }
  }
  if (segments.length === 0) return -ENOEXEC;
  for (let i = 1; i < segments.length; i++) {
    const before = segments[i - 1]!;
    if (segments[i]!.vaddr < before.vaddr + before.memorySize) return -EINVAL;
  }
  const { movable, entry, headerCount } = fixed;
  return {
    movable,
    entry,
    headerCount,
    headersAddress,
    interpreter,
    executableStack,
    segments,
    alignment,
  };
}

/** The segment of the program header at byte `at`. */
function newSegment(headers: Uint8Array, at: number): Segment | number {
  const flags = getU32(headers, at + PH.p_flags);
  const offset = getU64(headers, at + PH.p_offset);
  const vaddr = getU64(headers, at + PH.p_vaddr);
  const fileSize = getU64(headers, at + PH.p_filesz);
  const memorySize = getU64(headers, at + PH.p_memsz);
  const most = Number.MAX_SAFE_INTEGER / 4;
  if (fileSize > memorySize) return -EINVAL;
  if (vaddr > most || offset > most || memorySize > most) return -ENOMEM;
  if (vaddr % PAGE_SIZE !== offset % PAGE_SIZE) return -EINVAL;
  const prot =
    (flags & PF_R ? PROT_READ : 0) |
    (flags & PF_W ? PROT_WRITE : 0) |
    (flags & PF_X ? PROT_EXEC : 0);
  return { vaddr, offset, fileSize, memorySize, prot };
}

function usableAlignment(align: number): number {
  const isPower = align > 0 && align <= 2 ** 30 && (align & (align - 1)) === 0;
  return isPower ? align : PAGE_SIZE;
}

function readInterpreter(
  file: ProgramFile,
  head: Uint8Array,
  offset: number,
  length: number,
): string | number {
  if (length < 2 || length > PATH_MAX) return -ENOEXEC;
  const bytes = readAt(file, head, offset, length);
  if (bytes === null) return -EIO;
  if (bytes[length - 1] !== 0) return -ENOEXEC;
  return decodeByteString(bytes, 0, bytes.indexOf(0));
}

export interface LoadedImage {
  /** What was added to all addresses. */
  readonly bias: number;
  readonly entry: number;
  readonly headersAddress: number;
  /** One past the last byte, not rounded: where the heap may begin. */
  readonly end: number;
  /** Bounds of the code and of the data, for /proc/PID/stat. */
  readonly codeStart: number;
  readonly codeEnd: number;
  readonly dataStart: number;
  readonly dataEnd: number;
}

/**
 * Maps the segments. `base`: where a movable image goes (its lowest page), or 0 for where there is
 * room. -errno leaves the address space half made: the caller throws it away.
 */
export function mapImage(
  mm: MemoryManager,
  file: ProgramFile,
  image: ElfImage,
  base: number,
): LoadedImage | number {
  const mappable = file.mappable();
  if (typeof mappable === 'number') return mappable === -EACCES ? mappable : -ENOEXEC;
  const { segments } = image;
  const first = segments[0]!;
  const last = segments[segments.length - 1]!;
  const lowest = pageFloor(first.vaddr);
  const total = pageCeil(last.vaddr + last.memorySize) - lowest;
  let bias = 0;
  if (image.movable) {
    const start = reserve(mm, total, base, image.alignment);
    if (start < 0) return start;
    bias = start - lowest;
  }
  let codeStart = Infinity;
  let codeEnd = 0;
  let dataStart = 0;
  let dataEnd = 0;
  for (const segment of segments) {
    const result = mapSegment(mm, mappable, segment, bias);
    if (result < 0) return result;
    const start = segment.vaddr + bias;
    codeStart = Math.min(codeStart, start);
    if (segment.prot & PROT_EXEC) codeEnd = Math.max(codeEnd, start + segment.fileSize);
    dataStart = Math.max(dataStart, start);
    dataEnd = Math.max(dataEnd, start + segment.fileSize);
  }
  return {
    bias,
    entry: image.entry + bias,
    headersAddress: image.headersAddress < 0 ? 0 : image.headersAddress + bias,
    end: last.vaddr + last.memorySize + bias,
    codeStart,
    codeEnd,
    dataStart,
    dataEnd,
  };
}

/** Finds room for a whole movable image, so that its segments keep their distances. */
function reserve(mm: MemoryManager, length: number, base: number, alignment: number): number {
  if (base > 0) {
    const wanted = base - (base % alignment);
    const start = mm.findRoom(wanted, length);
    return start === wanted || start < 0 ? start : -ENOMEM;
  }
  const extra = alignment > PAGE_SIZE ? alignment : 0;
  const start = mm.findRoom(0, length + extra);
  return start < 0 ? start : Math.ceil(start / alignment) * alignment;
}

function mapSegment(mm: MemoryManager, file: Mappable, s: Segment, bias: number): number {
  const start = pageFloor(s.vaddr + bias);
  const inPage = (s.vaddr + bias) % PAGE_SIZE;
  const fileEnd = s.vaddr + bias + s.fileSize;
  const end = pageCeil(s.vaddr + bias + s.memorySize);
  const common = {
    prot: s.prot,
    flags: MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE,
    maxProt: PROT_ALL,
  };
  let mapped = start;
  if (s.fileSize > 0) {
    mapped = pageCeil(fileEnd);
    const length = mapped - start;
    const made = mm.mmap({ ...common, addr: start, length, file, offset: s.offset - inPage });
    if (made < 0) return made;
  }
  if (end > mapped) {
    const flags = common.flags | MAP_ANONYMOUS;
    const length = end - mapped;
    const made = mm.mmap({ ...common, flags, addr: mapped, length, file: null, offset: 0 });
    if (made < 0) return made;
  }
  // What follows the file's bytes in their last page is zero, where it may be written at all.
  if (s.memorySize > s.fileSize && s.fileSize > 0 && mapped > fileEnd && s.prot & PROT_WRITE) {
    return mm.zero(fileEnd, mapped - fileEnd);
  }
  return 0;
}
