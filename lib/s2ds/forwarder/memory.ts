/** For buffers above the smallest, in bytes: some hundred flows at full speed. */
export const MEMORY = 512 << 20;

/** Memory for buffers above the smallest, in bytes, shared by all connections of a process. */
export class Memory {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Takes so many bytes, or none and answers false. */
  take(bytes: number): boolean {
    if (this.#left < bytes) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}
