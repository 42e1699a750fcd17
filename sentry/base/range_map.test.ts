/** Ordered ranges against an array with one element for each place. */
import { expect, test } from 'vitest';
import { type Range, RangeMap } from './range_map.ts';

interface Item extends Range {
  readonly value: number;
}

function split(item: Item, at: number): Item {
  const upper = { ...item, start: at };
  item.end = at;
  return upper;
}

test('any order of changes agrees with one place at a time, and so does every look', () => {
  const places = new Array<number>(400).fill(0);
  const map = new RangeMap<Item>(split);
  let seed = 3;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  for (let round = 1; round < 3000; round++) {
    const start = random(400);
    // Now and then most of it, so that more goes at once than is moved one by one.
    const end = Math.min(400, start + 1 + random(round % 100 === 0 ? 400 : 3));
    const value = random(3);
    const first = map.splitAt(start);
    map.removeAt(first, map.splitAt(end) - first);
    if (value > 0) {
      const at = map.insert({ start, end, value });
      if (round % 2 === 0) map.merge(at, at + 1, (left, right) => left.value === right.value);
    }
    places.fill(value, start, end);
    for (let look = 0; look < 20; look++) {
      const at = random(400);
      const found = map.find(at);
      expect(found?.value ?? 0).toBe(places[at]);
      if (found === null) continue;
      expect(found.start).toBeLessThanOrEqual(at);
      expect(found.end).toBeGreaterThan(at);
    }
    const held = map.items.reduce((sum, item) => sum + (item.end - item.start), 0);
    expect(held).toBe(places.filter((each) => each > 0).length);
  }
  expect(map.items.length).toBeGreaterThan(128);
  map.removeAt(0, map.items.length);
  expect(map.find(200)).toBe(null);
  expect(map.items).toEqual([]);
});
