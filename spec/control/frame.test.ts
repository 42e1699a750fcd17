/** Tests of the framing: any chunking, bounds, hostile bytes. */

import { describe, expect, it } from 'vitest';
import { encodeFrame, FrameReader, MAX_FRAME_LENGTH } from './frame.ts';

function frameOf(message: unknown): Uint8Array {
  const frame = encodeFrame(message);
  if (frame === null) throw new Error('too long');
  return frame;
}

describe('frames', () => {
  it('come back whole from any chunking', () => {
    const messages = [{ a: 1 }, { text: 'é\u{1f600}\n' }, { long: 'x'.repeat(30000) }, []];
    const stream = Buffer.concat(messages.map(frameOf));
    for (const step of [1, 7, 4096, stream.length]) {
      const reader = new FrameReader();
      const got: unknown[] = [];
      for (let at = 0; at < stream.length; at += step) {
        const chunk = stream.subarray(at, at + step);
        reader.push(chunk, chunk.length);
        for (let m = reader.next(); m !== undefined; m = reader.next()) got.push(m);
      }
      expect(got).toEqual(messages);
    }
  });

  it('that are too long or not JSON end the stream', () => {
    const long = new FrameReader();
    long.push(Uint8Array.of(1, 0, 0x40, 0), 4);
    expect(long.next()).toBe(undefined);
    expect(long.error).toContain(String(MAX_FRAME_LENGTH));
    const bad = new FrameReader();
    bad.push(Uint8Array.of(1, 0, 0, 0, 0x7b), 5);
    expect(bad.next()).toBe(undefined);
    expect(bad.error).not.toBe('');
  });

  it('are refused by the encoder above the bound', () => {
    expect(encodeFrame('x'.repeat(MAX_FRAME_LENGTH))).toBe(null);
  });
});
