/** Bytes within JSON, and arrays of numbers within bytes. */

/**
 * @typedef {{shape: number[], values: Float32Array|Uint8Array}} Numbers An array of NumPy's, row by row.
 */

/**
 * @param {string} base64
 * @returns {Uint8Array}
 */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * Numbers of single precision, the lowest byte first.
 * @param {Uint8Array} bytes
 */
export function floatsOf(bytes) {
  // A copy begins at a place that the numbers may begin at.
  return new Float32Array(bytes.slice().buffer);
}

/**
 * Read what numpy.save writes: a magic word, the version, the length of a header, the header as a Python literal, and
 * the numbers (NumPy's format description, versions 1 and 2).
 * @param {Uint8Array} bytes
 * @returns {Numbers}
 */
export function readNpy(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLong = bytes[6] > 1;
  const begin = isLong ? 12 : 10;
  const length = isLong ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(begin, begin + length));
  const kind = /'descr': '([^']+)'/.exec(header)?.[1] ?? "";
  const shape = [.../'shape': \(([^)]*)\)/.exec(header)?.[1].matchAll(/\d+/g) ?? []].map(([digits]) => Number(digits));
  const data = bytes.subarray(begin + length);
  if (kind === "<f4") return { shape, values: floatsOf(data) };
  if (kind === "|u1") return { shape, values: data };
  throw new RangeError(`an array of ${kind || "no kind"} cannot be shown`);
}
