/**
 * Byte strings: the form of file names, arguments and environments inside the kernel. One char per
 * byte (0-255), so that any name is kept without loss and compares as its bytes do.
 */

const CHUNK = 4096;

export function decodeByteString(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = '';
  for (let at = start; at < end; at += CHUNK) {
    const part = bytes.subarray(at, Math.min(at + CHUNK, end));
    text += String.fromCharCode.apply(null, part as unknown as number[]);
  }
  return text;
}

/** Writes `text` at `start` and returns the number of bytes; `into` must have the room. */
export function encodeByteString(text: string, into: Uint8Array, start = 0): number {
  for (let i = 0; i < text.length; i++) into[start + i] = text.charCodeAt(i);
  return text.length;
}

export function byteStringBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  encodeByteString(text, bytes);
  return bytes;
}
