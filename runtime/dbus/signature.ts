/** D-Bus type signatures (D-Bus Specification, "Type System"): where a type ends, and whether all is well. */

const BASIC = 'ybnqiuxtdsogh';
const MOST_LENGTH = 255;
const MOST_DEPTH = 32;

/** Where the complete type that begins at `at` ends; -1 when there is none. */
export function nextType(signature: string, at: number, depth = 0): number {
  const code = signature[at] ?? '';
  if (depth > MOST_DEPTH || code === '') return -1;
  if (BASIC.includes(code) || code === 'v') return at + 1;
  if (code === 'a') {
    return signature[at + 1] === '{'
      ? dictEntryEnd(signature, at + 1, depth + 1)
      : nextType(signature, at + 1, depth + 1);
  }
  if (code !== '(') return -1;
  let end = at + 1;
  while (end > 0 && signature[end] !== ')') end = nextType(signature, end, depth + 1);
  return end <= at + 1 ? -1 : end + 1;
}

/** {key value}, the key of a basic type; only as an array's element. */
function dictEntryEnd(signature: string, at: number, depth: number): number {
  if (!BASIC.includes(signature[at + 1] ?? ' ')) return -1;
  const end = nextType(signature, at + 2, depth);
  return end > 0 && signature[end] === '}' ? end + 1 : -1;
}

/** Whether it is any number of complete types. */
export function validSignature(signature: string): boolean {
  if (signature.length > MOST_LENGTH) return false;
  for (let at = 0; at < signature.length; ) {
    at = nextType(signature, at);
    if (at < 0) return false;
  }
  return true;
}
