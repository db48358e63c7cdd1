// Arrays as a page carries them: the bytes in base64, little-endian as in all browsers, with their type and shape.

const TYPES = { float32: Float32Array, float64: Float64Array, int32: Int32Array };

/** @param {{type: string, shape: number[], data: string}} packed */
export function unpacked({ type, data }) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return new TYPES[type](bytes.buffer);
}

/** The same numbers in float64, in which the page computes. */
export function exact(packed) {
  return Float64Array.from(unpacked(packed));
}
