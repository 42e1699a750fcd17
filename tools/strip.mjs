/**
 * Takes out of a sealed executable what Node puts beside the start-up snapshot and we do not use: the
 * code cache of Node's own modules, which is copied to the heap at every start (4 MB, 5 ms). The
 * modules that runsc uses are in the snapshot; others are compiled when they are asked for.
 *
 * Node has no setting for it, so the bytes are found: the cache is the last field of the snapshot, a
 * count and then for each module its name and V8's data, all with their lengths. Found means that
 * as many entries as the count says could be walked; the count becomes 0. Otherwise nothing is done.
 */

/** The first word of V8's code cache. */
const MAGIC = Buffer.from([0xa9, 0x06, 0xde, 0xc0]);
const WORD = 8;
const LONGEST_NAME = 200;
const FEWEST_MODULES = 100;
const MOST_MODULES = 2000;

function length(image, at) {
  return at + WORD <= image.length ? Number(image.readBigUInt64LE(at)) : -1;
}

/** The end of the entry that starts `at`, or -1. */
function entryEnd(image, at) {
  const name = length(image, at);
  if (name < 1 || name > LONGEST_NAME) return -1;
  const dataAt = at + WORD + name;
  const size = length(image, dataAt);
  const magicAt = dataAt + WORD;
  if (size < MAGIC.length || magicAt + size > image.length) return -1;
  return image.compare(MAGIC, 0, MAGIC.length, magicAt, magicAt + MAGIC.length) === 0
    ? magicAt + size
    : -1;
}

function isCache(image, at) {
  const count = length(image, at);
  if (count < FEWEST_MODULES || count > MOST_MODULES) return false;
  let end = at + WORD;
  for (let i = 0; i < count && end >= 0; i++) end = entryEnd(image, end);
  return end >= 0;
}

/** Whether `image`, of which the first `from` bytes are Node's own, had a cache; it has none now. */
export function stripCodeCache(image, from) {
  for (let at = image.indexOf(MAGIC, from); at >= 0; at = image.indexOf(MAGIC, at + 1)) {
    for (let name = 1; name <= LONGEST_NAME; name++) {
      const count = at - WORD - name - WORD - WORD;
      if (count < from || length(image, count + WORD) !== name) continue;
      if (!isCache(image, count)) continue;
      image.fill(0, count, count + WORD);
      return true;
    }
  }
  return false;
}
