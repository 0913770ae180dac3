/**
 * Code with a defect that hardly anything but coverage leads to, for the test of the fuzzer itself.
 * @module
 */

/** Throws for what begins with "FUZZ", and looks at one letter after another. */
export function nested(bytes: Uint8Array): number {
  if (bytes[0] !== 0x46) return 0;
  if (bytes[1] !== 0x55) return 1;
  if (bytes[2] !== 0x5a) return 2;
  if (bytes[3] !== 0x5a) return 3;
  throw new Error("the defect");
}

/** Has code for what it may never have been given. */
export function ladder(bytes: Uint8Array): string {
  let said = "";
  if (bytes.length > 3) said += "long";
  if (bytes.includes(0x23)) said += "hash";
  if (bytes.includes(0x24) && bytes[0] === bytes.length) said += "deep";
  return said;
}
