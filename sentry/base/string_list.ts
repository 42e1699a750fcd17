/**
 * StringList: byte strings one behind the other, each with its NUL, as the arguments and the environment of
 * execve(2) lie on a new program's stack. They are copied from one program to the next without ever
 * becoming strings here (Linux's copy_strings).
 */
import { encodeByteString } from './byte_string.ts';

/** Bytes there is room for at first. */
const FIRST_ROOM = 4096;

export class StringList {
  private room = new Uint8Array(FIRST_ROOM);
  /** Of all strings, NULs included. */
  byteLength = 0;
  /** Where each string ends, behind its NUL. */
  readonly ends: number[] = [];

  static of(texts: readonly string[]): StringList {
    const list = new StringList();
    for (const text of texts) list.add(text);
    return list;
  }

  get count(): number {
    return this.ends.length;
  }

  /** Valid until the next string is added. */
  get bytes(): Uint8Array {
    return this.room.subarray(0, this.byteLength);
  }

  add(text: string): void {
    const end = this.byteLength + text.length + 1;
    this.makeRoom(end);
    encodeByteString(text, this.room, this.byteLength);
    this.byteLength = end;
    this.ends.push(end);
  }

  /** Adds a part of a string; the last part of each ends with its NUL, and `endString` follows it. */
  addPart(bytes: Uint8Array): void {
    const end = this.byteLength + bytes.length;
    this.makeRoom(end);
    this.room.set(bytes, this.byteLength);
    this.byteLength = end;
  }

  endString(): void {
    this.ends.push(this.byteLength);
  }

  /** Adds all of `other` but the first. */
  addRest(other: StringList): void {
    const first = other.ends[0] ?? 0;
    const moved = this.byteLength - first;
    this.addPart(other.room.subarray(first, other.byteLength));
    for (let i = 1; i < other.ends.length; i++) this.ends.push(other.ends[i]! + moved);
  }

  /** Bytes of the longest string, its NUL included. */
  get longest(): number {
    let most = 0;
    let start = 0;
    for (const end of this.ends) {
      most = Math.max(most, end - start);
      start = end;
    }
    return most;
  }

  private makeRoom(length: number): void {
    if (length <= this.room.length) return;
    const room = new Uint8Array(2 * length);
    room.set(this.room);
    this.room = room;
  }
}
