/**
 * Addresses of unix(7) sockets. Inside the kernel a name is a byte string: '' for none, '\0...' for an
 * abstract name (every byte counts), anything else a path without its NUL.
 */
import { EINVAL } from '../../../spec/linux/errno.ts';
import { getU16 } from '../../../spec/linux/little_endian.ts';
import { AF_UNIX, UNIX_PATH_MAX } from '../../../spec/linux/socket.ts';
import { decodeByteString, encodeByteString } from '../../base/byte_string.ts';

const PATH_OFFSET = 2;

/** The name in a sockaddr_un; '' when it is cut off after the family. */
export function decodeUnixAddress(address: Uint8Array): string | number {
  if (address.length < PATH_OFFSET || address.length > PATH_OFFSET + UNIX_PATH_MAX) return -EINVAL;
  if (getU16(address, 0) !== AF_UNIX) return -EINVAL;
  const text = decodeByteString(address, PATH_OFFSET);
  if (text === '' || text.charCodeAt(0) === 0) return text;
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}

export function encodeUnixAddress(name: string): Uint8Array {
  const isPath = name !== '' && name.charCodeAt(0) !== 0;
  const address = new Uint8Array(PATH_OFFSET + name.length + (isPath ? 1 : 0));
  address[0] = AF_UNIX;
  encodeByteString(name, address, PATH_OFFSET);
  return address;
}
