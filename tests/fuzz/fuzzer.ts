/**
 * Fuzzing that is guided by coverage: inputs that reach code which no input before has reached are
 * kept, and changed further. The same seed, corpus and number of inputs make the same inputs.
 * @module
 */
import {
  CoverageMap,
  type Gain,
  holds,
  isProduct,
  type Report,
  startCounting,
  takeReport,
} from "./coverage.ts";
import { Mutator } from "./mutate.ts";
import type { Target } from "./target.ts";

/** An input for which something does not hold. */
export interface Failure {
  input: Uint8Array;
  error: unknown;
}

/** How long to go on, and what to count. */
export interface FuzzOptions {
  seed: number;
  corpus: readonly Uint8Array[];
  /** Asked before each batch of inputs. */
  goOn: (tried: number) => boolean;
  /** Scripts whose code counts; the product's if not given. */
  counts?: (url: string) => boolean;
  /** Called before each input. */
  onInput?: (bytes: Uint8Array) => void;
}

/** What came of it. */
export interface FuzzResult {
  tried: number;
  /** Blocks that ran for the seeds; for seeds and corpus; and for what was found, too. */
  blocks: { seeds: number; before: number; after: number };
  /** Inputs that reach what the corpus does not; as few and as short as was found. */
  found: Uint8Array[];
  failure?: Failure;
}

/** Inputs between two looks at the coverage, which takes as long as very many inputs. */
const BATCH = 128;
/** Tries to make one input shorter; a failure is worth more of them. */
const SHRINK_TRIES = 150;
const SHRINK_FAILURE_TRIES = 3_000;
/** Longer ones are of no use in a corpus. */
const LONGEST_KEPT = 2 << 10;

/** The seeds as bytes. */
export function seedsOf({ seeds }: Target): Uint8Array[] {
  const encoder = new TextEncoder();
  return seeds.map((seed) => typeof seed === "string" ? encoder.encode(seed) : seed);
}

/** Tries these inputs; answers the first that fails. */
export async function replay(
  target: Target,
  inputs: Iterable<Uint8Array>,
  onInput?: (bytes: Uint8Array) => void,
): Promise<Failure | undefined> {
  for (const input of inputs) {
    onInput?.(input);
    try {
      await target.run(input);
    } catch (error) {
      return { input, error };
    }
  }
}

/** Fresh inputs, as many as wanted, without a look at the coverage. */
export function* mutants(
  target: Target,
  corpus: readonly Uint8Array[],
  seed: number,
  count: number,
): Generator<Uint8Array> {
  const mutator = new Mutator(seed, target.dictionary);
  const pool = [...seedsOf(target), ...corpus];
  for (let i = 0; i < count; i++) yield mutator.next(pool);
}

/** Fuzzes until there is a failure, or it is not to go on. */
export async function fuzz(target: Target, options: FuzzOptions): Promise<FuzzResult> {
  await startCounting();
  return await new Run(target, options).all();
}

/** Blocks that these inputs run, the seeds' among them or not. */
export async function blocksOf(target: Target, inputs: readonly Uint8Array[]): Promise<number> {
  await startCounting();
  const map = new CoverageMap();
  await takeReport(isProduct);
  await replay(target, inputs);
  map.add(await takeReport(isProduct));
  return map.blocks;
}

class Run {
  readonly #map = new CoverageMap();
  readonly #counts: (url: string) => boolean;
  readonly #onInput: (bytes: Uint8Array) => void;

  constructor(readonly target: Target, readonly options: FuzzOptions) {
    this.#counts = options.counts ?? isProduct;
    this.#onInput = options.onInput ?? (() => {});
  }

  async all(): Promise<FuzzResult> {
    const { corpus, seed, goOn } = this.options;
    const seeds = seedsOf(this.target);
    const blocks = { seeds: 0, before: 0, after: 0 };
    let found: Uint8Array[] = [];
    let tried = 0;
    const result = (failure?: Failure): FuzzResult => {
      blocks.after = this.#map.blocks;
      return { tried, blocks, found, failure };
    };
    let failure: Failure | undefined;
    await this.#take();
    for (const known of [seeds, corpus]) {
      failure ??= await this.#ran(known);
      this.#map.add(await this.#take());
      blocks.before = this.#map.blocks;
      if (known === seeds) blocks.seeds = blocks.before;
    }
    if (failure) return result(failure);
    const mutator = new Mutator(seed, this.target.dictionary);
    const pool = [...seeds, ...corpus];
    while (goOn(tried)) {
      const batch = Array.from({ length: BATCH }, () => mutator.next(pool));
      tried += batch.length;
      const failure = await this.#ran(batch);
      const report = await this.#take();
      if (failure) return result(await this.#shortFailure(failure));
      if (!this.#map.gain(report)) continue;
      for (const better of await this.#explored(batch)) {
        pool.push(better);
        if (better.length <= LONGEST_KEPT) found.push(better);
      }
      // What ran by itself, or does not run again, is not looked for a second time.
      this.#map.add(report);
    }
    const after = result();
    found = await this.#fewest([...seeds, ...corpus], found);
    return { ...after, found };
  }

  async #ran(inputs: readonly Uint8Array[]): Promise<Failure | undefined> {
    return await replay(this.target, inputs, this.#onInput);
  }

  #take(): Promise<Report> {
    return takeReport(this.#counts);
  }

  async #reportOf(input: Uint8Array): Promise<Report> {
    await this.#ran([input]);
    return await this.#take();
  }

  /** Those inputs that reach something new, made shorter. */
  async #explored(inputs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    await this.#ran(inputs);
    const report = await this.#take();
    const gain: Gain | undefined = this.#map.gain(report);
    const [input] = inputs;
    if (!gain || !input) return [];
    if (inputs.length > 1) {
      const half = inputs.length >> 1;
      const first = await this.#explored(inputs.slice(0, half));
      return [...first, ...await this.#explored(inputs.slice(half))];
    }
    const short = await shrink(input, async (each) => holds(await this.#reportOf(each), gain));
    this.#map.add(report);
    this.#map.add(await this.#reportOf(short));
    return [short];
  }

  async #shortFailure({ input, error }: Failure): Promise<Failure> {
    const kind = kindOf(error);
    let last: unknown = error;
    const short = await shrink(input, async (each) => {
      const failure = await this.#ran([each]);
      if (!failure || kindOf(failure.error) !== kind) return false;
      last = failure.error;
      return true;
    }, SHRINK_FAILURE_TRIES);
    return { input: short, error: last };
  }

  /** Of the inputs found, those that reach something which shorter ones do not. */
  async #fewest(known: Uint8Array[], found: Uint8Array[]): Promise<Uint8Array[]> {
    const map = new CoverageMap();
    await this.#ran(known);
    map.add(await this.#take());
    const few: Uint8Array[] = [];
    for (const input of found.toSorted((a, b) => a.length - b.length)) {
      if (map.add(await this.#reportOf(input))) few.push(input);
    }
    return few;
  }
}

/** What two failures of one cause have in common. */
function kindOf(error: unknown): string {
  return error instanceof Error ? `${error.name} ${error.message.slice(0, 16)}` : String(error);
}

/** A shorter input that is still as wanted: pieces are left out, large ones first. */
async function shrink(
  input: Uint8Array,
  asWanted: (input: Uint8Array) => Promise<boolean>,
  most = SHRINK_TRIES,
): Promise<Uint8Array> {
  let tries = 0;
  for (let size = Math.ceil(input.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < input.length && tries < most;) {
      const shorter = new Uint8Array([...input.subarray(0, at), ...input.subarray(at + size)]);
      tries++;
      if (shorter.length < input.length && await asWanted(shorter)) input = shorter;
      else at += size;
    }
  }
  return input;
}
