/** Tests of the checks of requests and replies. */

import { describe, expect, it } from 'vitest';
import { parseReply, parseRequest } from './protocol.ts';

describe('parseRequest', () => {
  it('takes what the table says', () => {
    const request = { id: 1, method: 'signal', params: { cid: 'a', signo: 15, all: false } };
    expect(parseRequest(request, 0)).toEqual(request);
  });

  it.each([
    [null, 0, 'object'],
    [{ id: -1 }, 0, 'id'],
    [{ id: 1, method: 'toString' }, 0, 'unknown method'],
    [{ id: 1, method: 'start' }, 0, 'params'],
    [{ id: 1, method: 'start', params: { cid: 7 } }, 0, 'cid'],
    [{ id: 1, method: 'start', params: { cid: 'a', x: 1 } }, 0, 'unknown parameter'],
    [{ id: 1, method: 'start', params: { cid: 'a' } }, 1, 'descriptors'],
    [{ id: 1, method: 'signal', params: { cid: 'a', signo: 1.5, all: true } }, 0, 'signo'],
    [{ id: 1, method: 'wait', params: { cid: 'a', pid: null } }, 0, 'pid'],
  ])('refuses %j', (message, fds, word) => {
    expect(parseRequest(message, fds)).toContain(word);
  });
});

describe('parseReply', () => {
  it('takes results and errors and nothing else', () => {
    expect(parseReply({ id: 1, result: {} })).toEqual({ id: 1, result: {} });
    expect(parseReply({ id: 1, error: { message: 'no' } })).not.toBe(null);
    expect(parseReply({ id: 1, error: {} })).toBe(null);
    expect(parseReply({ id: 1 })).toBe(null);
    expect(parseReply(7)).toBe(null);
  });
});
