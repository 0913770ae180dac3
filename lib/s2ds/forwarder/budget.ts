/** So much of something that a process has but once, shared by all that it does. */
export class Budget {
  #left: number;
  readonly #waiting: { count: number; resume: () => void }[] = [];

  constructor(amount: number) {
    this.#left = amount;
  }

  /** Takes so many, or none and answers false. */
  take(count: number): boolean {
    if (this.#left < count) return false;
    this.#left -= count;
    return true;
  }

  give(count: number): void {
    this.#left += count;
    while (this.#waiting[0] && this.#left >= this.#waiting[0].count) {
      this.#waiting.shift()?.resume();
    }
  }

  /** Calls `resume` once so many can be taken. */
  onFree(count: number, resume: () => void): void {
    this.#waiting.push({ count, resume });
  }
}

/** For blocks of the connections of one process, in bytes: some hundred flows at full speed. */
export const MEMORY = 512 << 20;
